"""Reads the configuration: one YAML file and ``ISTHMUS_A__B`` overrides from the environment.

This is the only place that reads the environment or files of configuration. Secrets are not part of
what is read here: they are named by reference and fetched with `read_secret` where they are used.
Every error says which key is wrong, where it stands, and what is allowed there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from adapters.model import AccountId, AssetId, ChainId, InvalidValue
from adapters.programs import Programs, tools_folder
from adapters.registry import AdapterRegistry
from adapters.spi import AdapterPlugin, ChainSettings, Misconfigured
from gateway.configuration_tree import Tree, TreeError, overridden, parse_tree
from gateway.sections import (
    ApiSection,
    ChainKeys,
    KeySection,
    PeerSection,
    PolicySection,
    Root,
    RuleSection,
    TowerRoot,
)
from relayers.offers.peers import Peer, PinnedCertificate, TrustedAuthority
from relayers.offers.policy import Policy, Rule
from relayers.offers.rules import OfferRules
from relayers.protocol.timelocks import GatewayBounds
from relayers.signing.secret import Prompt, Secret, SecretMissing, resolve

MAX_FILE = 1 << 20
"""Bytes; no configuration file is longer."""


class ConfigurationError(Exception):
    """The configuration cannot be used; nothing was started. One line per problem."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class ChainConfiguration:
    """A chain's block: the adapter's own settings, and the key that acts there."""

    name: str
    plugin: AdapterPlugin
    settings: ChainSettings
    key: KeySection


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """All that a gateway is built from. Paths are absolute."""

    root: Root
    chains: tuple[ChainConfiguration, ...]
    folder: Path
    """Where the file stands; relative paths and key URIs start there."""

    @property
    def bounds(self) -> GatewayBounds:
        return GatewayBounds(self.root.bounds.reaction, self.root.bounds.outage)

    @property
    def rules(self) -> OfferRules:
        return OfferRules(**self.root.offers.model_dump())

    @property
    def peers(self) -> tuple[Peer, ...]:
        return tuple(_peer(section) for section in self.root.peers)

    @property
    def audit_path(self) -> Path:
        journal = self.root.journal.path
        return self.root.audit.path or journal.with_name(journal.name + ".audit.jsonl")

    @property
    def alerts_path(self) -> Path:
        """Says which alerts were told."""
        journal = self.root.journal.path
        return journal.with_name(journal.name + ".alerts.json")


@dataclass(frozen=True, slots=True)
class TowerSettings:
    """All that a watchtower is built from. Paths are absolute."""

    root: TowerRoot
    chains: tuple[ChainConfiguration, ...]
    folder: Path

    @property
    def serves(self) -> frozenset[AccountId]:
        """As their chains spell them, whatever way the operator did."""
        return frozenset(AccountId.parse(text) for text in self.root.serves)


def _peer(section: PeerSection) -> Peer:
    if section.tls_ca is not None:
        trust: TrustedAuthority | PinnedCertificate = TrustedAuthority(section.tls_ca)
    else:
        assert section.tls_certificate is not None, "the model demands one of the two"
        trust = PinnedCertificate(section.tls_certificate)
    return Peer(
        name=section.name,
        address=bytes.fromhex(section.address[2:]),
        url=section.url.rstrip("/"),
        trust=trust,
        policy=_policy(section.policy) if section.policy is not None else None,
    )


def _policy(section: PolicySection) -> Policy:
    rules = tuple(
        Rule(
            get=AssetId.parse(rule.get),
            give=AssetId.parse(rule.give),
            price_min=Fraction(rule.price_min),
            price_max=Fraction(rule.price_max) if rule.price_max is not None else None,
            least=rule.least_given,
            per_swap=int(rule.per_swap),
            per_day=int(rule.per_day),
        )
        for rule in section.rules
    )
    return Policy(rules, section.min_time, section.max_time, section.otherwise)


# --- reading -------------------------------------------------------------------------------------


def load_gateway(path: Path, environment: Mapping[str, str] | None = None) -> GatewaySettings:
    """Reads a gateway's configuration. ``environment``: the process's own by default. Raises
    ConfigurationError."""
    reader = _Reader(path, environment)
    root = reader.validated(Root)
    chains = reader.chains(root)
    return GatewaySettings(_with_canonical_rules(reader, root, chains), chains, reader.folder)


def load_api(path: Path, environment: Mapping[str, str] | None = None) -> ApiSection:
    """Where the API of a gateway's configuration is: all that a command line needs, without
    loading an adapter. Raises ConfigurationError."""
    return _Reader(path, environment).validated(Root).api


def load_tower(path: Path, environment: Mapping[str, str] | None = None) -> TowerSettings:
    """Reads a watchtower's configuration. Raises ConfigurationError."""
    reader = _Reader(path, environment)
    root = reader.validated(TowerRoot)
    chains = reader.chains(root)
    settings = {chain.settings.chain_id(): chain.settings for chain in chains}
    serves: list[str] = []
    for index, text in enumerate(root.serves):
        try:
            account = AccountId.parse(text)
            if account.chain not in settings:
                raise InvalidValue(f"account {account} is on a chain that is not configured here")
            serves.append(str(settings[account.chain].canonical_account(account)))
        except InvalidValue as error:
            raise ConfigurationError([reader.at(("serves", index), str(error))]) from None
    root = root.model_copy(update={"serves": tuple(serves)})
    return TowerSettings(root, chains, reader.folder)


def _with_canonical_rules(
    reader: _Reader, root: Root, chains: Sequence[ChainConfiguration]
) -> Root:
    """The assets of acceptance policies as their chains spell them: an offer is in no other
    spelling, so a rule in another would fit none. Raises ConfigurationError."""
    settings = {chain.settings.chain_id(): chain.settings for chain in chains}
    problems: list[str] = []

    def canonical(text: str, place: tuple[str | int, ...]) -> str:
        asset = AssetId.parse(text)
        try:
            chain = settings.get(asset.chain)
            return text if chain is None else str(chain.canonical_asset(asset))
        except InvalidValue as error:
            problems.append(reader.at(place, str(error)))
            return text

    def rule_of(rule: RuleSection, place: tuple[str | int, ...]) -> RuleSection:
        get, give = canonical(rule.get, (*place, "get")), canonical(rule.give, (*place, "give"))
        return rule.model_copy(update={"get": get, "give": give})

    def peer_of(peer: PeerSection, place: tuple[str | int, ...]) -> PeerSection:
        if peer.policy is None:
            return peer
        place = (*place, "policy", "rules")
        rules = tuple(rule_of(rule, (*place, n)) for n, rule in enumerate(peer.policy.rules))
        return peer.model_copy(update={"policy": peer.policy.model_copy(update={"rules": rules})})

    peers = tuple(peer_of(peer, ("peers", n)) for n, peer in enumerate(root.peers))
    if problems:
        raise ConfigurationError(problems)
    return root.model_copy(update={"peers": peers})


_Model = TypeVar("_Model", bound=BaseModel)


class _Reader:
    def __init__(self, path: Path, environment: Mapping[str, str] | None) -> None:
        self._file = path
        self.folder = path.resolve().parent
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE + 1)
            if len(content) > MAX_FILE:
                raise ConfigurationError([f"{path}: longer than {MAX_FILE} bytes"])
            text = content.decode()
        except OSError as error:
            raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from error
        except UnicodeDecodeError:
            raise ConfigurationError([f"{path}: not a text in UTF-8"]) from None
        try:
            self._tree: Tree = overridden(
                parse_tree(text), os.environ if environment is None else environment
            )
        except TreeError as error:
            where = f"{path}:{error.line}" if error.line else str(path)
            raise ConfigurationError([f"{where}: {error}"]) from None

    def at(self, path: tuple[str | int, ...], message: str) -> str:
        """One problem, as the operator reads it."""
        line, override = self._tree.where(path)
        where = override or (f"{self._file}:{line}" if line else str(self._file))
        key = ".".join(str(part) for part in path)
        return f"{where}: {key}: {message}" if key else f"{where}: {message}"

    def validated(self, model: type[_Model]) -> _Model:
        try:
            root = model.model_validate(self._tree.data)
        except ValidationError as error:
            raise ConfigurationError(self._problems(error, model, ())) from None
        return anchored(root, self.folder)

    def chains(self, root: Root | TowerRoot) -> tuple[ChainConfiguration, ...]:
        try:
            registry = AdapterRegistry(root.plugins)
        except Misconfigured as error:
            raise ConfigurationError([self.at(("plugins",), str(error))]) from None
        found: list[ChainConfiguration] = []
        problems: list[str] = []
        for name, block in root.chains.items():
            chain = self._chain(registry, name, block, problems)
            if chain is not None:
                found.append(chain)
        seen: dict[str, str] = {}
        for chain in found:
            other = seen.setdefault(chain.settings.chain, chain.name)
            if other != chain.name:
                problems.append(
                    self.at(
                        ("chains", chain.name, "chain"),
                        f"{chain.settings.chain} is the chain of {other} already",
                    )
                )
        if problems:
            raise ConfigurationError(problems)
        return tuple(found)

    def _chain(
        self, registry: AdapterRegistry, name: str, block: dict[str, Any], problems: list[str]
    ) -> ChainConfiguration | None:
        here = ("chains", name)
        adapter = block.get("adapter")
        if not isinstance(adapter, str):
            problems.append(
                self.at(here, f"adapter is missing; give one of {', '.join(registry.loadable())}")
            )
            return None
        try:
            plugin = registry.load(adapter)
        except Misconfigured as error:
            problems.append(self.at((*here, "adapter"), str(error)))
            return None
        own = {key: block[key] for key in ChainKeys.model_fields if key in block}
        theirs = {key: value for key, value in block.items() if key not in own}
        before = len(problems)
        try:
            keys = anchored(ChainKeys.model_validate(own), self.folder)
        except ValidationError as error:
            problems += self._problems(error, ChainKeys, here)
        try:
            settings = anchored(plugin.settings.model_validate(theirs), self.folder)
            ChainId.parse(settings.chain)
        except ValidationError as error:
            problems += self._problems(error, plugin.settings, here, extra=("key",))
        except InvalidValue as error:
            problems.append(self.at((*here, "chain"), str(error)))
        if len(problems) > before:
            return None
        return ChainConfiguration(name, plugin, settings, keys.key)

    def _problems(
        self,
        error: ValidationError,
        model: type[BaseModel],
        prefix: tuple[str | int, ...],
        extra: tuple[str, ...] = (),
    ) -> list[str]:
        found = []
        problems = error.errors(include_url=False, include_input=False)
        places = [problem["loc"] for problem in problems]
        for problem in problems:
            place = problem["loc"]
            if problem["type"] == "too_short" and any(
                other[: len(place)] == place for other in places if other != place
            ):
                # Only too short because the items that are there were refused themselves.
                continue
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "extra_forbidden":
                allowed = sorted([*_allowed(model, place[:-1]), *(extra if not place[1:] else ())])
                message = f"there is no such key; allowed here are {', '.join(allowed)}"
            elif problem["type"] == "missing":
                message = "is missing"
                wanted = _description(model, place)
                message += f": {wanted}" if wanted else ""
            found.append(self.at((*prefix, *place), message))
        return found


def field_model(annotation: Any) -> type[BaseModel] | None:
    """The section that a field holds, one or many; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        model = field_model(argument)
        if model is not None:
            return model
    return None


def _model_at(model: type[BaseModel], place: tuple[str | int, ...]) -> type[BaseModel]:
    for part in place:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = field_model(field.annotation) or model
    return model


def _allowed(model: type[BaseModel], place: tuple[str | int, ...]) -> list[str]:
    return list(_model_at(model, place).model_fields)


def _description(model: type[BaseModel], place: tuple[str | int, ...]) -> str | None:
    field = _model_at(model, place[:-1]).model_fields.get(str(place[-1])) if place else None
    return field.description if field is not None else None


def anchored(model: _Model, folder: Path) -> _Model:
    """The same model with every relative path, in it or below it, made to start in the folder."""
    changed = {
        name: _anchor(getattr(model, name), folder, name) for name in type(model).model_fields
    }
    return model.model_copy(update=changed)


def _anchor(value: Any, folder: Path, name: str) -> Any:
    match value:
        case Path():
            return folder / value
        case BaseModel():
            return anchored(value, folder)
        case tuple():
            return tuple(_anchor(item, folder, name) for item in value)
        case dict():
            return {key: _anchor(item, folder, str(key)) for key, item in value.items()}
        case str() if name in ("passphrase", "token") and value.startswith("file:"):
            return f"file:{folder / value.removeprefix('file:')}"
        case _:
            return value


# --- secrets -------------------------------------------------------------------------------------


def read_secret(
    reference: str | None,
    what: str,
    *,
    prompt: Prompt | None = None,
    environment: Mapping[str, str] | None = None,
) -> Secret:
    """Fetches what ``file:PATH`` or ``env:NAME`` refers to; None asks at the prompt, where there is
    one. Raises ConfigurationError, which names ``what`` and the reference, never the content."""
    try:
        return resolve(
            reference,
            what=what,
            environment=os.environ if environment is None else environment,
            folder=Path(),
            prompt=prompt,
        )
    except SecretMissing as error:
        raise ConfigurationError([str(error)]) from None


# --- programs of real networks -------------------------------------------------------------------


def programs_here(environment: Mapping[str, str] | None = None) -> Programs:
    """Where programs of real networks are looked for: what ``make tools`` installed, the release
    of Fabric that ``FABRIC_HOME`` names, then ``PATH``."""
    own = os.environ if environment is None else environment
    home = Path(own["FABRIC_HOME"]) if own.get("FABRIC_HOME") else None
    path = [Path(folder) for folder in own.get("PATH", "").split(os.pathsep) if folder]
    releases = [home / "bin"] if home is not None else []
    return Programs([tools_folder() / "bin", *releases, *path], home)
