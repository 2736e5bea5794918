"""Bad configuration gets errors that name the file's line, the key, and what is allowed."""

from __future__ import annotations

import copy
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.settings import (
    ConfigurationError,
    GatewaySettings,
    load_gateway,
    load_tower,
    read_secret,
)
from relayers.offers.peers import PinnedCertificate, TrustedAuthority

GOOD: dict[str, Any] = {
    "gateway": {
        "organisation": "acme",
        "key": {"uri": "keystore:keys/acme.json", "passphrase": "file:secrets/pass"},
        "swap_key": "keystore:keys/swap.json",
    },
    "journal": {"path": "acme.db"},
    "bounds": {"reaction": 30, "outage": 600},
    "api": {"port": 8080, "token": "env:ACME_TOKEN"},
    "peer_api": {"port": 8443, "tls_certificate": "tls.pem", "tls_key": "tls.key"},
    "chains": {
        "left": {
            "adapter": "simulated",
            "chain": "sim:left",
            "inclusion": 1,
            "finality": 2,
            "clock": 1,
            "key": "keystore:keys/left.json",
            "ledger": {"coin": {"id": "sim:left/slip44:60", "symbol": "L", "decimals": 0}},
        }
    },
    "peers": [
        {
            "name": "globex",
            "address": "0x" + "Ab" * 20,
            "url": "https://globex.example:8443",
            "tls_ca": "globex-ca.pem",
            "policy": {
                "rules": [
                    {
                        "get": "sim:left/slip44:60",
                        "give": "sim:right/slip44:60",
                        "price_min": "3/1000",
                        "per_swap": 10,
                        "per_day": "20",
                    }
                ]
            },
        }
    ],
}


def written(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def load(folder: Path, data: dict[str, Any] | None = None, **environment: str) -> GatewaySettings:
    return load_gateway(written(folder, data if data is not None else GOOD), environment)


def problems(folder: Path, data: dict[str, Any], **environment: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(folder, data, **environment)
    return caught.value.problems


def test_a_good_file_is_read_and_its_paths_start_in_its_folder(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.root.journal.path == tmp_path / "acme.db"
    assert settings.root.gateway.key.passphrase == f"file:{tmp_path / 'secrets/pass'}"
    assert settings.root.api.token == "env:ACME_TOKEN"
    assert settings.audit_path == tmp_path / "acme.db.audit.jsonl"
    (chain,) = settings.chains
    assert chain.name == "left"
    assert chain.key.uri == "keystore:keys/left.json"
    (peer,) = settings.peers
    assert peer.trust == TrustedAuthority(tmp_path / "globex-ca.pem")
    assert peer.address == b"\xab" * 20
    assert peer.policy is not None
    assert peer.policy.rules[0].price_min == Fraction(3, 1000)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        ISTHMUS_API__PORT="9000",
        ISTHMUS_PEERS__0__NAME="initech",
        ISTHMUS_CHAINS__LEFT__LEDGER__DEPTH="7",
        ISTHMUS_LOG__LEVEL="debug",
        ISTHMUS_PEERS__0__ADDRESS="0x" + "11" * 20,
        OTHER__THING="x",
        ISTHMUS_CONFIG="ignored: it has no double underscore",
    )
    assert settings.root.api.port == 9000
    assert settings.root.peers[0].name == "initech"
    assert settings.root.peers[0].address == "0x" + "11" * 20
    assert settings.chains[0].settings.model_dump()["ledger"]["depth"] == 7
    assert settings.root.log.level == "debug"


def test_a_pinned_certificate_is_the_other_way_to_trust(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    del data["peers"][0]["tls_ca"]
    data["peers"][0]["tls_certificate"] = "globex.pem"
    assert load(tmp_path, data).peers[0].trust == PinnedCertificate(tmp_path / "globex.pem")


MISSING = object()

BAD: list[tuple[str, Any, str]] = [
    ("api.port", 0, "greater than or equal to 1"),
    ("api.port", 65_536, "less than or equal to 65535"),
    ("api.port", "many", "integer"),
    ("api.prot", 8080, "connections_per_address, host, port, tls_certificate, tls_key, token"),
    ("api.host", "0.0.0.0", "may only listen on 127.0.0.1"),
    ("api.token", "hunter2-plain", "file:PATH or env:NAME"),
    ("api.token", MISSING, "is missing: `file:PATH` or `env:NAME` of the bearer token"),
    ("gateway.key.passphrase", "hunter2-plain", "file:PATH or env:NAME"),
    ("gateway.key.uri", "keys/acme.json", "should match pattern"),
    ("gateway.organisation", "Acme Inc", "should match pattern"),
    ("gateway", MISSING, "is missing"),
    ("bounds.outage", -1, "greater than or equal to 0"),
    ("nonsense", 1, "allowed here are api, audit, bounds, chains"),
    ("chains.left.adapter", "cobol", "there is no adapter 'cobol'; installed are"),
    ("chains.left.adapter", MISSING, "adapter is missing; give one of"),
    ("chains.left.chain", "eip155", "not a CAIP-2 id"),
    ("chains.left.inclusion", MISSING, "is missing: I: seconds"),
    ("chains.left.colour", "red", "allowed here are adapter, chain, clock"),
    ("chains.left.ledger.depth", -1, "greater than or equal to 0"),
    ("chains.left.key", MISSING, "is missing: The key that acts on this chain"),
    ("chains", {}, "at least 1"),
    ("peers.0.url", "http://globex.example", "should match pattern"),
    ("peers.0.url", "https://globex.example/path", "should match pattern"),
    ("peers.0.address", "0x12", "should match pattern"),
    ("peers.0.tls_ca", MISSING, "give one of tls_ca and tls_certificate"),
    ("peers.0.policy.rules.0.price_min", 0.003, "so that it is exact"),
    ("peers.0.policy.rules.0.price_min", "1/0", "denominator 0"),
    ("peers.0.policy.rules.0.price_min", "0", "greater than zero"),
    ("peers.0.policy.rules.0.price_max", "1/1000", "price_max is below price_min"),
    ("peers.0.policy.rules.0.per_swap", 0, "from 1 to 2^256 - 1"),
    ("peers.0.policy.rules.0.per_swap", "1.5", "whole number"),
    ("peers.0.policy.rules.0.least", 0, "from 1 to 2^256 - 1"),
    ("peers.0.policy.rules.0.least", 11, "per_swap is below least"),
    ("offers", {"swaps_per_peer": 0}, "greater than or equal to 1"),
    ("peers.0.policy.rules.0.get", "gold", "not a CAIP-19 id"),
]


@pytest.mark.parametrize(("path", "value", "message"), BAD)
def test_a_bad_value_is_named_with_what_is_allowed(
    tmp_path: Path, path: str, value: Any, message: str
) -> None:
    data = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    place: Any = data
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place[parent]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    found = problems(tmp_path, data)
    assert len(found) == 1, found
    assert message in found[0]
    assert parents == [] or parents[0] in found[0]
    assert "hunter2" not in found[0], "a secret in the wrong place is not repeated"


def test_all_problems_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["api"]["port"] = -1
    data["bounds"]["outage"] = "long"
    found = problems(tmp_path, data)
    text = (tmp_path / "gateway.yaml").read_text().splitlines()
    for key, value in (("api.port", "port: -1"), ("bounds.outage", "outage: long")):
        line = next(n for n, content in enumerate(text, 1) if content.strip() == value)
        assert any(one.startswith(f"{tmp_path}/gateway.yaml:{line}: {key}: ") for one in found)


def test_an_override_that_is_wrong_is_called_by_its_name(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD, ISTHMUS_API__PORT="none")
    assert found.startswith("ISTHMUS_API__PORT: api.port: ")
    (found,) = problems(tmp_path, GOOD, ISTHMUS_PEERS__4__NAME="x")
    assert "there is no place peers.4" in found


def test_two_chains_must_not_be_one(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["chains"]["right"] = copy.deepcopy(data["chains"]["left"])
    (found,) = problems(tmp_path, data)
    assert "chains.right.chain: sim:left is the chain of left already" in found


ETHEREUM: dict[str, Any] = {
    "adapter": "ethereum",
    "chain": "eip155:1",
    "inclusion": 60,
    "finality": 900,
    "clock": 15,
    "urls": ["http://127.0.0.1:8545"],
    "contract": "0x" + "11" * 20,
    "key": "keystore:keys/ethereum.json",
}
NATIVE: dict[str, Any] = {
    "adapter": "native",
    "chain": "isthmus:" + "ab" * 16,
    "inclusion": 5,
    "finality": 5,
    "clock": 2,
    "urls": ["http://127.0.0.1:26657"],
    "key": "keystore:keys/native.json",
}
CHECKSUMMED = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
"""From the examples of EIP-55."""
MISTYPED = CHECKSUMMED.replace("5aA", "5aa")


@pytest.mark.parametrize(
    "spelling", [CHECKSUMMED, CHECKSUMMED.lower(), "0x" + CHECKSUMMED[2:].upper()]
)
def test_an_account_or_asset_is_read_in_whatever_way_it_is_spelled(
    tmp_path: Path, spelling: str
) -> None:
    """A tower that serves an account in one spelling serves it; a rule fits the offers in which
    its token is spelled otherwise."""
    tower = {
        "organisation": "tower",
        "state": "tower.db",
        "chains": {"left": GOOD["chains"]["left"], "ethereum": ETHEREUM},
        "serves": [f"eip155:1:{spelling}"],
    }
    (served,) = load_tower(written(tmp_path, tower), {}).serves
    assert str(served) == f"eip155:1:{CHECKSUMMED}"
    data = copy.deepcopy(GOOD)
    data["chains"]["ethereum"] = ETHEREUM
    data["peers"][0]["policy"]["rules"][0]["give"] = f"eip155:1/erc20:{spelling}"
    (peer,) = load(tmp_path, data).peers
    assert peer.policy is not None
    assert str(peer.policy.rules[0].give) == f"eip155:1/erc20:{CHECKSUMMED}"
    assert str(peer.policy.rules[0].get) == "sim:left/slip44:60"


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (f"eip155:1:{MISTYPED}", "wrong checksum"),
        ("eip155:1:0x01", "not an address"),
        (f"{NATIVE['chain']}:{'AB' * 32}", "64 lower-case hex digits"),
    ],
)
def test_an_account_that_nobody_can_have_is_refused(
    tmp_path: Path, account: str, message: str
) -> None:
    """In place of serving nobody in silence."""
    data = {
        "organisation": "tower",
        "state": "tower.db",
        "chains": {"native": NATIVE, "ethereum": ETHEREUM},
        "serves": [account],
    }
    with pytest.raises(ConfigurationError, match=rf"serves\.0: .*{message}"):
        load_tower(written(tmp_path, data), {})


def test_an_asset_of_a_rule_that_nobody_can_have_is_refused(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["chains"]["ethereum"] = ETHEREUM
    data["peers"][0]["policy"]["rules"][0]["get"] = f"eip155:1/erc20:{MISTYPED}"
    (found,) = problems(tmp_path, data)
    assert "peers.0.policy.rules.0.get: asset" in found
    assert "wrong checksum" in found


def test_two_peers_must_be_told_apart(tmp_path: Path) -> None:
    data = copy.deepcopy(GOOD)
    data["peers"].append(data["peers"][0] | {"name": "other"})
    (found,) = problems(tmp_path, data)
    assert "two peers have the same address" in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("api: [unclosed", "not YAML"),
        ("api: 1\napi: 2", "gateway.yaml:2: api is there twice"),
        ("- a list", "the file must hold sections"),
        ("just text", "the file must hold sections"),
        ("a: &x {b: 1}\nc: {<<: *x}", "merging is not supported"),
        ("a: !!python/object:os.system x", "not YAML"),
        ("[" * 5000, "not YAML"),
    ],
)
def test_what_is_not_a_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load_gateway(path, {})
    assert message in str(caught.value)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_gateway(tmp_path / "none.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        load_gateway(tmp_path / "binary.yaml", {})


def test_an_address_without_quotes_stays_an_address(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    path.write_text(path.read_text().replace("'0x" + "Ab" * 20 + "'", "0x" + "Ab" * 20))
    assert load_gateway(path, {}).peers[0].address == b"\xab" * 20


def test_secrets_are_fetched_by_reference(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("swordfish\n")
    (tmp_path / "empty").write_text("\n")
    assert read_secret(f"file:{tmp_path / 'secret'}", "it").text == "swordfish"
    assert read_secret("env:X", "it", environment={"X": "swordfish"}).text == "swordfish"
    assert read_secret(None, "it", prompt=lambda _: "swordfish").text == "swordfish"
    for reference in ("env:X", f"file:{tmp_path / 'empty'}", f"file:{tmp_path / 'none'}", None):
        with pytest.raises(ConfigurationError, match="it"):
            read_secret(reference, "it", environment={})


def test_a_watchtower_serves_accounts_of_its_chains(tmp_path: Path) -> None:
    left = GOOD["chains"]["left"]
    right = left | {"chain": "sim:right"}
    data: dict[str, Any] = {
        "organisation": "tower",
        "state": "tower.db",
        "chains": {"left": left, "right": right},
        "serves": ["sim:left:0x01"],
    }
    path = written(tmp_path, data)
    settings = load_tower(path, {})
    assert {str(account) for account in settings.serves} == {"sim:left:0x01"}
    assert settings.root.state == tmp_path / "tower.db"
    for serves, message in (
        ("sim:other:0x01", "not configured here"),
        ("nonsense", "not a CAIP-10 id"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            load_tower(written(tmp_path, data | {"serves": [serves]}), {})
