"""The development network: prepared once, ready as often as it is asked, alive after kill -9."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from pathlib import Path

import pytest

from adapters.devnet import Participant
from adapters.ethereum.anvil_process import Copies, recover
from adapters.ethereum.artifact import load
from adapters.ethereum.devnet import Devnet
from adapters.ethereum.devnet_contracts import COIN_EACH, TOKENS_EACH
from adapters.ethereum.tooling import ToolSet, install
from adapters.model import Lock, LockState
from adapters.spi import Misconfigured
from tests.adapters.ethereum.anvil import Network
from tests.adapters.ethereum.bench import credential, opened, terms_for
from tests.adapters.ethereum.signer import LocalSigner


async def test_participants_are_funded_once(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    coin, token = network.devnet.assets()
    async with opened(settings) as adapter:
        assert await adapter.balance(sender.account, coin) == COIN_EACH
        assert await adapter.balance(sender.account, token) == TOKENS_EACH
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
        left = await adapter.balance(sender.account, coin)
        await network.devnet.ready()
        assert await adapter.balance(sender.account, coin) == left
        assert network.settings() == settings


async def test_state_survives_kill_9(network: Network) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    async with opened(settings) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
        network.rpc("evm_mine")
    await network.written()
    network.process.kill()
    network.process.start()
    await network.devnet.ready()
    async with opened(settings) as adapter:
        record = await adapter.lookup(adapter.lock_id(terms))
        assert (record.state, record.terms) == (LockState.OPEN, terms)


WHOLE = '{"block":1,"historical_states":null}'


def test_a_state_file_that_was_cut_short_is_replaced_by_its_copy(tmp_path: Path) -> None:
    state, copy = tmp_path / "state.json", tmp_path / "state.copy.json"
    copies = Copies(state, copy)
    assert not copies.keep(), "there is nothing to copy yet"
    state.write_text(WHOLE)
    assert copies.keep()
    for length in range(len(WHOLE)):
        state.write_text(WHOLE[:length])
        assert not copies.keep()
    recover(state, copy)
    assert state.read_text() == WHOLE


def test_a_state_that_has_not_changed_is_not_copied_again(tmp_path: Path) -> None:
    state, copy = tmp_path / "state.json", tmp_path / "state.copy.json"
    copies = Copies(state, copy)
    state.write_text(WHOLE)
    assert copies.keep()
    copy.unlink()
    assert not copies.keep()
    assert not copy.exists()
    state.write_text(WHOLE.replace("1", "22"))
    assert copies.keep()


async def test_what_anvil_writes_is_taken_for_whole_and_keeps_no_earlier_states(
    network: Network,
) -> None:
    """With another Anvil, whose files end otherwise, no copy would ever be made."""
    network.rpc("anvil_mine", "0x40")
    await network.written()
    copy = network.folder / "state" / "state.copy.json"
    async with asyncio.timeout(30):
        while not copy.exists() or len(json.loads(copy.read_text())["blocks"]) < 0x40:  # noqa: ASYNC110 - a file sends no word
            await asyncio.sleep(0.1)
    written = json.loads(copy.read_text())
    assert written["historical_states"] is None
    assert copy.stat().st_size < 2_500 * len(written["blocks"]) + 300_000


async def test_a_contract_of_another_version_is_deployed_anew(
    network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    settings = network.settings()
    sender, recipient = (credential(settings, one) for one in network.signers[:2])
    before = network.settings()
    code = bytearray(load("HashTimeLockCancun").deployed)
    code[40] ^= 0xFF
    network.rpc("anvil_setCode", before["contract"], "0x" + code.hex())
    network.rpc("evm_setIntervalMining", 1)
    await network.devnet.ready()
    after = network.settings()
    assert after["contract"] != before["contract"]
    assert after["deployed_at"] > before["deployed_at"]
    assert after["tokens"] == before["tokens"], "the token is as it was"
    (line,) = [record.getMessage() for record in caplog.records]
    assert before["contract"] in line
    assert "another version" in line
    async with opened(after) as adapter:
        terms, _ = await terms_for(adapter, sender, recipient)
        await adapter.submit(Lock(terms), sender)
    caplog.clear()
    await network.devnet.ready()
    assert network.settings() == after
    assert caplog.records == []


def test_another_set_of_participants_is_refused(tmp_path: Path) -> None:
    keys = [LocalSigner(name).public_key for name in ("a", "b")]
    Devnet(tmp_path).prepare([22099], [Participant("one", keys[0])])
    key = (tmp_path / "deployer.key").read_text()
    Devnet(tmp_path).prepare([22099], [Participant("one", keys[0])])
    assert (tmp_path / "deployer.key").read_text() == key
    assert (tmp_path / "deployer.key").stat().st_mode & 0o077 == 0
    with pytest.raises(Misconfigured, match="other participants"):
        Devnet(tmp_path).prepare([22099], [Participant("one", keys[1])])
    assert key not in " ".join(Devnet(tmp_path).processes()[0].argv)


def _install(folder: str) -> str:
    return str(install(ToolSet.NODE, Path(folder)).anvil)


def test_two_processes_install_one_set(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        programs = pool.map(_install, [str(tmp_path)] * 2, chunksize=1)
    assert programs[0] == programs[1]
    assert Path(programs[0]).is_file()
    assert [entry for entry in tmp_path.iterdir() if entry.name.endswith(".part")] == []
