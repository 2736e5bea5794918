"""Key files of the Ethereum v3 format: read by others, refused when wrong, silent about secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from relayers.signing.key_files import keep, listed, make, secret_from
from relayers.signing.keystore import KeyFileError, KeyKind, decrypt, encrypt, read_header
from relayers.signing.secret import Secret, SecretMissing, resolve
from tests.relayers.signing.keys import COST, PASSPHRASE, counted_bytes

SECRET = bytes(range(1, 33))

VECTOR = {
    # The scrypt example of the format's own specification.
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "id": "3198bc9c-6672-5ab3-d995-4942343ae5b6",
    "version": 3,
}


def test_the_specification_s_own_file_opens() -> None:
    opened = decrypt(json.dumps(VECTOR).encode(), Secret("testpassword"), "vector")
    assert opened.secret.hex() == "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
    assert opened.header.kind is KeyKind.SECP256K1


def test_another_program_opens_what_we_write(tmp_path: Path) -> None:
    key = keep(
        tmp_path / "a.json", KeyKind.SECP256K1, SECRET, PASSPHRASE, counted_bytes(), cost=COST
    )
    content = key.path.read_text()
    assert bytes(Account.decrypt(content, PASSPHRASE.text)) == SECRET
    assert key.header.address == Account.from_key(SECRET).address.lower()


@pytest.mark.parametrize("kdf", ["scrypt", "pbkdf2"])
def test_what_another_program_writes_opens(kdf: str) -> None:
    iterations = 2 if kdf == "scrypt" else 10
    file = Account.encrypt(SECRET, PASSPHRASE.text, kdf=kdf, iterations=iterations)
    assert decrypt(json.dumps(file).encode(), PASSPHRASE, "theirs").secret == SECRET


@given(st.binary(min_size=32, max_size=32), st.text(min_size=1, max_size=30))
def test_what_goes_in_comes_out(secret: bytes, passphrase: str) -> None:
    content = encrypt(
        secret, KeyKind.SWAP_KEY, None, Secret(passphrase), salt=b"s" * 32, iv=bytes(16), cost=COST
    )
    opened = decrypt(content, Secret(passphrase), "it")
    assert (opened.secret, opened.header.kind) == (secret, KeyKind.SWAP_KEY)
    assert secret.hex() not in content.decode()


def test_a_wrong_passphrase_is_one_clear_error(tmp_path: Path) -> None:
    key = make(tmp_path / "a.json", KeyKind.P256, PASSPHRASE, counted_bytes(), cost=COST)
    before = key.path.read_bytes()
    with pytest.raises(KeyFileError, match=r"a\.json: the passphrase is wrong") as caught:
        decrypt(before, Secret("not the passphrase"), "a.json")
    assert "not the passphrase" not in str(caught.value)
    assert key.path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.update(version=1), "not a key file of the Ethereum v3 format"),
        (lambda f: f.pop("crypto"), "not a key file of the Ethereum v3 format"),
        (lambda f: f["crypto"].pop("mac"), "damaged"),
        (lambda f: f["crypto"].update(kdf="argon2"), "key derivation that is not known"),
        (lambda f: f["crypto"].update(cipher="aes-256-cbc"), "cipher that is not"),
        (lambda f: f["crypto"]["kdfparams"].update(n=2**40), "damaged"),
        (lambda f: f["crypto"]["kdfparams"].update(n=3), "damaged"),
        (lambda f: f["crypto"]["kdfparams"].update(salt="zz"), "damaged"),
        (lambda f: f["isthmus"].update(kind="tea"), "what it is for cannot be read"),
        (lambda f: f["crypto"].update(mac="00" * 32), "passphrase is wrong"),
    ],
)
def test_a_damaged_file_is_one_clear_error(change, words: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    key = make(tmp_path / "a.json", KeyKind.P256, PASSPHRASE, counted_bytes(), cost=COST)
    file = json.loads(key.path.read_text())
    change(file)
    with pytest.raises(KeyFileError, match=words):
        decrypt(json.dumps(file).encode(), PASSPHRASE, "a.json")


def test_no_file_is_overwritten_and_only_its_owner_may_read(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    make(path, KeyKind.SECP256K1, PASSPHRASE, counted_bytes(), cost=COST)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="already"):
        make(path, KeyKind.SECP256K1, PASSPHRASE, counted_bytes("other"), cost=COST)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_listing_needs_no_passphrase_and_passes_over_other_files(tmp_path: Path) -> None:
    for name, kind in (("b", KeyKind.SWAP_KEY), ("a", KeyKind.P256), ("c", KeyKind.SECP256K1)):
        make(tmp_path / f"{name}.json", kind, PASSPHRASE, counted_bytes(name), cost=COST)
    (tmp_path / "d.json").write_text("{}")
    found = [(file.path.name, file.header.kind) for file in listed(tmp_path)]
    assert found == [
        ("a.json", KeyKind.P256),
        ("b.json", KeyKind.SWAP_KEY),
        ("c.json", KeyKind.SECP256K1),
    ]
    assert listed(tmp_path / "nowhere") == ()


def test_a_swap_key_file_tells_nothing_derived_from_the_key(tmp_path: Path) -> None:
    key = make(tmp_path / "s.json", KeyKind.SWAP_KEY, PASSPHRASE, counted_bytes(), cost=COST)
    assert read_header(key.path.read_bytes(), "s").public_key is None
    assert "address" not in json.loads(key.path.read_text())


@pytest.mark.parametrize("content", [b"", b"0x12", b"hello", b"\xff" * 32])
def test_an_import_refuses_what_is_no_key(content: bytes) -> None:
    with pytest.raises(KeyFileError, match="neither"):
        secret_from(content, KeyKind.SECP256K1, None, "x")


@pytest.mark.parametrize("kind", [KeyKind.SECP256K1, KeyKind.P256])
@pytest.mark.parametrize("number", [0, 2**256 - 1])
def test_an_import_refuses_a_number_outside_the_curve(
    kind: KeyKind, number: int, tmp_path: Path
) -> None:
    with pytest.raises(KeyFileError, match="below the order"):
        keep(tmp_path / "a.json", kind, number.to_bytes(32), PASSPHRASE, counted_bytes(), cost=COST)
    assert not (tmp_path / "a.json").exists()


# --- references to secrets ------------------------------------------------------------------------


def _resolve(reference: str | None, tmp_path: Path, **more: object) -> Secret:
    return resolve(
        reference,
        what="the passphrase of a.json",
        environment={"PASS": "one"},
        folder=tmp_path,
        prompt=more.get("prompt"),  # type: ignore[arg-type]
    )


def test_secrets_come_from_a_file_the_environment_or_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("two\n")
    assert _resolve("env:PASS", tmp_path).text == "one"
    assert _resolve("file:p", tmp_path).text == "two"
    assert _resolve(f"file:{tmp_path / 'p'}", tmp_path).text == "two"
    assert _resolve(None, tmp_path, prompt=lambda _: "three").text == "three"
    assert "one" not in repr(_resolve("env:PASS", tmp_path))


@pytest.mark.parametrize("reference", [None, "env:NONE", "file:none", "hunter2", "pass:hunter2"])
def test_a_reference_that_leads_nowhere_names_itself_but_not_a_secret(
    reference: str | None, tmp_path: Path
) -> None:
    with pytest.raises(SecretMissing, match=r"the passphrase of a\.json") as caught:
        _resolve(reference, tmp_path)
    assert "hunter2" not in str(caught.value)
