"""``python -m adapters.ethereum.deploy``: deploys, verifies, and says why it does not."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from eth_account import Account

from adapters.codec.keccak import keccak256
from adapters.ethereum.artifact import load
from adapters.ethereum.deploy import main
from adapters.model import Lock, LockState
from tests.adapters.ethereum.anvil import Network, Process, bare_anvil, rpc
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.signer import LocalSigner

SECRET = b"\x17" * 32
PASSPHRASE = "a passphrase of a test"
CHAIN = "eip155:31337"


@dataclass(frozen=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def said(self) -> dict[str, str]:
        return dict(line.split(": ", 1) for line in self.out.splitlines())


def run(*words: object) -> Answer:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    return Answer(status, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module", params=["cancun", "berlin"])
def node(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Process]]:
    log = tmp_path_factory.mktemp("deploy") / "anvil.log"
    with bare_anvil(log, "--hardfork", request.param) as process:
        rpc(process.url, "anvil_setBalance", Account.from_key(SECRET).address, hex(10**18))
        yield request.param, process


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key file of another program's, and its passphrase's file."""
    folder = tmp_path_factory.mktemp("key")
    sealed = Account.encrypt(SECRET, PASSPHRASE, kdf="scrypt", iterations=2)
    (folder / "key.json").write_text(json.dumps(sealed))
    (folder / "passphrase").write_text(PASSPHRASE + "\n")
    return folder / "key.json", folder / "passphrase"


async def test_what_is_deployed_fits_the_chain_and_is_the_lock_contract(
    node: tuple[str, Process], key: tuple[Path, Path]
) -> None:
    """The code for the rules that the chain has; it locks."""
    hardfork, process = node
    where = ("--chain", CHAIN, "--url", process.url)
    made = await asyncio.to_thread(run, *where, "--key-file", key[0], "--passphrase-file", key[1])
    assert made.status == 0, made.err
    name = "HashTimeLockCancun" if hardfork == "cancun" else "HashTimeLockParis"
    assert made.said["made_from"] == name
    code = rpc(process.url, "eth_getCode", made.said["contract"], "latest")
    assert made.said["code_hash"] == "0x" + keccak256(bytes.fromhex(code[2:])).hex()
    assert bytes.fromhex(code[2:]) == load(name).deployed
    settings = {
        "adapter": "ethereum",
        "chain": made.said["chain"],
        "urls": [process.url],
        "contract": made.said["contract"],
        "deployed_at": int(made.said["deployed_at"]),
        "final_by": 0,
        "inclusion": 5,
        "finality": 5,
        "clock": 5,
    }
    sender, recipient = (credential(settings, LocalSigner(name)) for name in ("a", "b"))
    rpc(process.url, "anvil_setBalance", sender.account.address, hex(10**18))
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
        async with asyncio.timeout(20):
            while (await adapter.lookup(adapter.lock_id(terms))).state is not LockState.OPEN:  # noqa: ASYNC110 - mined at once, but not in the answer
                await asyncio.sleep(0.05)


def test_one_that_is_there_is_verified(network: Network, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(network.url + "\n")
    settings = network.settings()
    where = ("--chain", CHAIN, "--url", f"file:{tmp_path / 'url'}")
    good = run(*where, "--verify", settings["contract"])
    assert (good.status, good.said["made_from"]) == (0, "HashTimeLockCancun")
    other = run(*where, "--verify", settings["tokens"][0])
    assert other.status == 1
    assert "none that this version of Isthmus carries: do not use it" in other.err
    code = bytearray(load("HashTimeLockCancun").deployed)
    code[40] ^= 1
    network.rpc("anvil_setCode", settings["contract"], "0x" + code.hex())
    assert run(*where, "--verify", settings["contract"]).status == 1, "one bit is another"
    assert "no contract at" in run(*where, "--verify", "0x" + "11" * 20).err


def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_sent(
    network: Network, key: tuple[Path, Path], tmp_path: Path
) -> None:
    where = ("--chain", CHAIN, "--url", network.url)
    with_key = ("--key-file", key[0], "--passphrase-file", key[1])
    wrong = tmp_path / "wrong"
    wrong.write_text("not the passphrase")
    other_kind = tmp_path / "swap.json"
    other_kind.write_text(json.dumps({"isthmus": {"kind": "swap_key"}}))
    before = network.rpc("txpool_status")
    for words, said in (
        (("--chain", "eip155:1", *where[2:], *with_key), "is on chain eip155:31337"),
        (("--chain", "1", *where[2:], *with_key), "chain"),
        (where, "--key-file: name the deployer's key file"),
        ((*where, "--key-file", tmp_path / "none", *with_key[2:]), "no readable key file"),
        ((*where, *with_key[:2], "--passphrase-file", wrong), "does not open"),
        ((*where, "--key-file", other_kind, *with_key[2:]), "kind swap_key, not secp256k1"),
        ((*where, *with_key), "nsufficient funds"),
        ((*where, "--verify", "0x12"), "is not an address"),
    ):
        answer = run(*words)
        assert (answer.status, answer.out) == (1, ""), words
        assert said in answer.err, answer.err
        assert "Traceback" not in answer.err
        assert len(answer.err.splitlines()) == 1
        for secret in (SECRET.hex(), PASSPHRASE, "not the passphrase"):
            assert secret not in answer.err
    assert network.rpc("txpool_status") == before
