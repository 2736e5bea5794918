"""Two swaps of real gateway processes, one completed and one refunded: no secret is in anything
that they wrote, showed, or were started with."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from gateway.api.bodies import DeadlinesBody, OfferRequestBody, SideBody, SwapDetail
from gateway.client import ApiError, GatewayClient, GatewayUnreachable
from gateway.devnet.environment import Environment
from gateway.devnet.organisations import Organisation
from relayers.journal.sqlite import SqliteJournal
from relayers.protocol.state import Phase
from relayers.signing.keystore import decrypt
from relayers.signing.secret import Secret
from relayers.signing.swap_key import LocalSwapKey
from tests.e2e.mortal_gateway import Death
from tests.e2e.pairs import PAUSE, Pair, make_environment, start
from tests.forbidden import Forbidden, assert_absent

INITIATOR, RESPONDER = "alpha0", "beta0"
OPERATORS = ("keys", "tls", "api.token", "organisations", "orderer", "participants", "config")
"""Files and folders of secrets that were put there, not written by a gateway."""


@asynccontextmanager
async def pair_in(folder: Path) -> AsyncIterator[tuple[Environment, Pair]]:
    # Short bounds: the refunded swap waits for its deadlines.
    environment = make_environment(
        folder, 1, reaction=1, outage=1, offers={"valid_for": 12, "slack": 1}
    )
    pairs: list[Pair] = []
    try:
        pairs = await start(environment, 1)
        yield environment, pairs[0]
    finally:
        for pair in pairs:
            for side in pair.sides:
                await side.stop()
        environment.down()


async def ready(client: GatewayClient) -> None:
    while True:
        try:
            if (await client.ready()).ok:
                return
        except (ApiError, GatewayUnreachable):
            pass
        await asyncio.sleep(PAUSE)


async def ended(client: GatewayClient, swap: str) -> SwapDetail:
    while True:
        detail = await client.swap(swap)
        if detail.ended:
            return detail
        await asyncio.sleep(PAUSE)


def offer(pair: Pair, deadlines: DeadlinesBody | None = None) -> OfferRequestBody:
    return OfferRequestBody(
        peer=RESPONDER,
        give=SideBody(asset=str(pair.give), amount="300"),
        get=SideBody(asset=str(pair.get), amount="7"),
        deadlines=deadlines,
    )


def keys_of(environment: Environment, organisation: Organisation) -> Iterator[Forbidden]:
    name = organisation.name
    passphrase = (organisation.folder / "keys" / "passphrase").read_text()
    yield Forbidden(f"passphrase of {name}", passphrase.encode())
    yield Forbidden(f"token of {name}", organisation.token.encode())
    for key in ("identity", "ledger", "swap"):
        material = decrypt(organisation.key(key).read_bytes(), Secret(passphrase), key)
        yield Forbidden(f"{key} key of {name}", material.secret)
    issued = environment.networks["fabric"].issued_key(name)
    assert issued is not None
    pems = (Path(issued.removeprefix("pem:")), organisation.folder / "tls" / "key.pem")
    for path in pems:
        _, line, *_ = path.read_text().splitlines()
        yield Forbidden(f"{path.name} of {name}", line.encode())


def written(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(part in OPERATORS for part in parts):
            yield path


def started_with(pid: int) -> Iterator[tuple[str, bytes]]:
    for file in ("cmdline", "environ"):
        content = Path(f"/proc/{pid}/{file}").read_bytes()
        assert content, f"/proc/{pid}/{file} is empty"
        yield f"/proc/PID/{file}", content


@pytest.mark.timeout(300)
async def test_two_swaps_of_real_processes_leave_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each gateway logs all that it can.
    monkeypatch.setenv("ISTHMUS_LOG__LEVEL", "debug")
    shown: list[tuple[str, bytes]] = []
    async with pair_in(tmp_path) as (environment, pair):
        organisations = [environment.organisations[name] for name in (INITIATOR, RESPONDER)]
        keys = [key for one in organisations for key in keys_of(environment, one)]
        alpha, beta = pair.initiator.client, pair.responder.client
        processes = environment.processes

        # Dies when it has accepted and told so, before it can see the lock that it is to answer.
        mortal = pair.responder.gateway
        mortal.order(Death("commit Delivered", before=True))
        mortal.start()
        processes.start(environment.gateway(INITIATOR))
        await ready(alpha)
        await ready(beta)
        refunded = (await alpha.offer(offer(pair))).id
        detail = await ended(alpha, refunded)
        assert detail.phase == Phase.REFUNDED, detail
        mortal.bury()

        processes.start(environment.gateway(RESPONDER))
        await ready(beta)
        now = int(time.time())
        roomy = DeadlinesBody(give=now + 180, get=now + 110)
        completed = (await alpha.offer(offer(pair, roomy))).id
        for client in (alpha, beta):
            detail = await ended(client, completed)
            assert detail.phase == Phase.COMPLETED, detail

        for name in (INITIATOR, RESPONDER):
            url = f"http://127.0.0.1:{environment.ports[name].api}/metrics"
            async with httpx.AsyncClient(trust_env=False) as http:
                answer = await http.get(url)
            assert "isthmus_" in answer.text
            shown.append((f"the metrics of {name}", answer.content))
            running = processes.find(f"gateway-{name}")
            assert running is not None
            if sys.platform.startswith("linux"):
                shown.extend(started_with(running.pid))

    initiator = organisations[0]
    passphrase = Secret((initiator.folder / "keys" / "passphrase").read_text())
    swap_key = decrypt(initiator.key("swap").read_bytes(), passphrase, "swap").secret
    preimages = {}
    async with await SqliteJournal.open(initiator.folder / "journal.sqlite", INITIATOR) as journal:
        for swap in (await journal.restore()).swaps:
            preimage = await LocalSwapKey(swap_key).preimage(swap.offer.salt)
            assert preimage.hashlock() == swap.hashlock
            preimages["0x" + swap.hashlock.hex()] = preimage.value
    never_revealed = Forbidden("preimage of the refunded swap", preimages[refunded])
    revealed = Forbidden("preimage of the completed swap", preimages[completed])

    for where, content in shown:
        assert_absent([*keys, never_revealed, revealed], where, content)
    files = list(written(tmp_path))
    names = {str(path.relative_to(tmp_path)) for path in files}
    for name in (INITIATOR, RESPONDER):
        assert f"logs/gateway-{name}.log" in names
        assert f"{name}/journal.sqlite" in names
        assert f"{name}/journal.sqlite.audit.jsonl" in names
    found = False
    for path in files:
        content = path.read_bytes()
        # Of the ledgers' own files too: what was not revealed is in no transaction either.
        assert_absent([*keys, never_revealed], str(path), content)
        if path.suffix in (".log", ".jsonl"):
            assert_absent([revealed], str(path), content)
        found = found or revealed.found_in(content)
    assert found, (
        "the revealed preimage is on a chain, and was not found there: the search is blind"
    )
