"""What ``doctor`` prints of a Fabric channel: each check by itself, none stopping the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from cryptography import x509

from adapters.fabric import endorsement
from adapters.fabric.block import chain_of
from adapters.fabric.chaincode.clock import NANOSECONDS
from adapters.fabric.channel_head import ChannelHead
from adapters.fabric.gateway import Gateway
from adapters.fabric.ledger import LedgerReader
from adapters.fabric.policy import NotResolved, describe
from adapters.fabric.settings import FabricSettings
from adapters.fabric.setup import read_setup
from adapters.model import InvalidValue
from adapters.spi import Adapter, AdapterError, Credential, Finding

_EXPIRY_NOTICE_DAYS = 14


class Diagnosis:
    """One run over one adapter."""

    def __init__(
        self,
        adapter: Adapter,
        settings: FabricSettings,
        gateway: Gateway,
        ledger: LedgerReader,
        head: ChannelHead,
        clock: Callable[[], int],
    ) -> None:
        self._adapter = adapter
        self._settings = settings
        self._gateway = gateway
        self._ledger = ledger
        self._head = head
        self._clock = clock

    async def run(self, credential: Credential | None) -> Sequence[Finding]:
        found: list[Finding] = []
        for address in self._gateway.addresses:
            found.append(await self._guard(f"peer {address}", partial(self._peer, address)))
        for check, ask in (
            ("chain id", self._chain),
            ("chaincode", self._chaincode),
            ("endorsement policy", self._policy),
            ("clock bound", self._bound),
            ("endorser's clock", self._endorser_clock),
            ("own ledger against others'", self._level),
        ):
            found.append(await self._guard(check, ask))
        if credential is not None:
            found.append(self._certificate(credential))
            for text in self._settings.assets:
                found.append(
                    await self._guard(
                        f"balance of {text}", partial(self._balance, text, credential)
                    )
                )
        return found

    async def _guard(self, check: str, ask: Callable[[], Awaitable[Finding]]) -> Finding:
        try:
            return await ask()
        except (AdapterError, InvalidValue) as error:
            return Finding(check, False, str(error), "mend this first; the message says what")

    async def _peer(self, address: str) -> Finding:
        answer = await self._gateway.evaluate(self._settings.chaincode, "config", address=address)
        return Finding(f"peer {address}", bool(answer), "answers")

    async def _chain(self) -> Finding:
        chain = chain_of((await self._ledger.block(0)).hash)
        return Finding(
            "chain id",
            chain == self._adapter.profile.chain,
            str(chain),
            f"set chain to {chain}, or correct channel and endpoints",
        )

    async def _chaincode(self) -> Finding:
        name = self._settings.chaincode
        committed = await endorsement.definition(self._adapter.profile.name, self._gateway, name)
        if committed is None:
            return Finding("chaincode", False, f"no {name} on the channel", "commit it")
        wanted = self._settings.chaincode_version
        return Finding(
            "chaincode",
            wanted in (None, committed.version),
            f"{name} version {committed.version}, sequence {committed.sequence}",
            f"chaincode_version says {wanted}: look at what was committed before you change it",
        )

    async def _policy(self) -> Finding:
        name = self._settings.chaincode
        committed = await endorsement.definition(self._adapter.profile.name, self._gateway, name)
        if committed is None:
            return Finding("endorsement policy", False, f"no {name} on the channel", "commit it")
        own = {self._settings.msp_id}
        try:
            rule = await endorsement.rule_of(self._ledger, committed)
        except NotResolved as error:
            return Finding(
                "endorsement policy", False, str(error), "use a signature policy, such as OutOf"
            )
        against = await endorsement.objections(
            self._adapter.profile.name,
            self._gateway,
            self._ledger,
            [name],
            own,
            self._settings.msp_id,
        )
        return Finding(
            "endorsement policy",
            not against,
            "; ".join(against) or describe(rule),
            "commit a definition that no party of a swap can veto or satisfy alone, such as two "
            "of three organisations",
        )

    async def _bound(self) -> Finding:
        setup = await read_setup(self._adapter.profile.name, self._gateway, self._settings)
        return Finding(
            "clock bound",
            setup.clock_bound <= self._settings.clock,
            f"{setup.clock_bound} s in the chaincode, {self._settings.clock} s in the settings",
            f"raise clock to {setup.clock_bound} or more",
        )

    async def _endorser_clock(self) -> Finding:
        setup = await read_setup(self._adapter.profile.name, self._gateway, self._settings)
        apart = abs(await self._head.own_clock() - self._clock() // NANOSECONDS)
        return Finding(
            "endorser's clock",
            apart <= setup.clock_bound,
            f"{apart} s from this machine's",
            "set both clocks by NTP: transactions will be refused",
        )

    async def _level(self) -> Finding:
        against = await self._head.obstacles()
        return Finding(
            "own ledger against others'",
            not against,
            "; ".join(against) or "up to date",
            "see to the peer's connections to the orderers and to other organisations' peers",
        )

    def _certificate(self, credential: Credential) -> Finding:
        try:
            certificate = x509.load_pem_x509_certificate(credential.certificate or b"")
        except ValueError:
            return Finding("certificate", False, "not X.509 in PEM", "give the certificate's file")
        ends = certificate.not_valid_after_utc
        left = (ends - datetime.fromtimestamp(self._clock() / NANOSECONDS, UTC)).days
        return Finding(
            "certificate",
            left >= _EXPIRY_NOTICE_DAYS,
            f"valid until {ends:%Y-%m-%d}",
            "renew it with the same subject: the account stays the same",
        )

    async def _balance(self, text: str, credential: Credential) -> Finding:
        assets = {
            f"{asset.id.namespace}:{asset.id.reference}": asset
            for asset in await self._adapter.assets()
        }
        asset = assets[text]
        held = await self._adapter.balance(credential.account, asset.id)
        return Finding(f"balance of {text}", True, f"{held} in smallest units of {asset.symbol}")
