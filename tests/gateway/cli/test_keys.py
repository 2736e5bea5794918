"""isthmus key: files are made, brought in and listed; a passphrase is asked for without echo."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.codec.secp256k1 import address_of
from relayers.signing.keystore import decrypt
from relayers.signing.secret import Secret
from tests.gateway.cli.command import environment, isthmus, refused

PASS = "a-passphrase-of-a-test"
ENV = {"P": PASS}


async def test_new_keys_of_each_kind_are_listed(tmp_path: Path) -> None:
    for kind in ("secp256k1", "p256", "swap_key"):
        path = tmp_path / f"{kind}.json"
        made = await isthmus(
            *("key", "new", path, "--kind", kind, "--passphrase", "env:P", "--json"), env=ENV
        )
        assert made.json["kind"] == kind
        assert (made.json["address"] is not None) == (kind == "secp256k1")
        assert path.stat().st_mode & 0o077 == 0
        assert len(decrypt(path.read_bytes(), Secret(PASS), "it").secret) == 32
    listed = await isthmus("key", "list", tmp_path, "--json")
    assert {one["kind"] for one in listed.json} == {"secp256k1", "p256", "swap_key"}
    assert "swap_key" in (await isthmus("key", "list", tmp_path)).out
    (tmp_path / "none").mkdir()
    assert "no key files" in (await isthmus("key", "list", tmp_path / "none")).out
    assert "not a folder" in await refused("key", "list", tmp_path / "nowhere")


async def test_a_key_is_brought_in(tmp_path: Path) -> None:
    digits = tmp_path / "digits"
    digits.write_text("11" * 32 + "\n")
    path = tmp_path / "brought.json"
    made = await isthmus("key", "import", digits, path, "--passphrase", "env:P", "--json", env=ENV)
    material = decrypt(path.read_bytes(), Secret(PASS), "it")
    assert material.secret == b"\x11" * 32
    public_key = material.header.public_key
    assert public_key is not None
    assert made.json["address"] == "0x" + address_of(public_key).hex()
    assert digits.read_text() == "11" * 32 + "\n"
    wrong = ("--source-passphrase", "env:W", "--passphrase", "env:P")
    again = tmp_path / "again.json"
    message = await refused("key", "import", path, again, *wrong, env=ENV | {"W": "hunter2"})
    assert "passphrase" in message
    assert "hunter2" not in message
    assert not again.exists()
    digits.write_text("zz")
    assert str(digits) in await refused(
        "key", "import", digits, again, "--passphrase", "env:P", env=ENV
    )
    assert "cannot be read" in await refused("key", "import", tmp_path / "no", again)
    assert not again.exists()


async def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text("mine")
    assert "already" in await refused("key", "new", path, "--passphrase", "env:P", env=ENV)
    assert path.read_text() == "mine"
    other = tmp_path / "other.json"
    assert "rsa" in await refused("key", "new", other, "--kind", "rsa", "--passphrase", "env:P")
    assert "env:NAME" in await refused("key", "new", other)
    assert "P" in await refused("key", "new", other, "--passphrase", "env:P")
    plain = await refused("key", "new", other, "--passphrase", PASS)
    assert PASS not in plain, "a passphrase that was typed by mistake is not repeated"
    assert not other.exists()


def typed(path: Path, *lines: str) -> tuple[int, str]:
    """Runs `key new` with a terminal for its input and output, and types lines when asked."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "key", "new", str(path)],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=environment(),
        start_new_session=True,
    )
    os.close(slave)
    said = b""
    asked = 0
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:  # Linux says so when the other end is closed
            break
        if not part:
            break
        said += part
        # getpass opens no controlling terminal here, and asks on what it has
        while asked < len(lines) and said.count(b": ") > asked:
            os.write(master, lines[asked].encode() + b"\n")
            asked += 1
    os.close(master)
    return process.wait(), said.decode()


@pytest.mark.parametrize("second", [PASS, "another"])
def test_a_passphrase_is_asked_for_twice_and_not_shown(tmp_path: Path, second: str) -> None:
    path = tmp_path / "key.json"
    status, said = typed(path, PASS, second)
    assert PASS not in said
    if second == PASS:
        assert status == 0, said
        decrypt(path.read_bytes(), Secret(PASS), "it")
    else:
        assert status == 1
        assert "the two passphrases differ; nothing was made" in said
        assert not path.exists()
