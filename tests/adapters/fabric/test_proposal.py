"""What the client signs: low-s signatures, its own header and input, and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from fabric_protos.common import common_pb2
from fabric_protos.peer import proposal_pb2, transaction_pb2

from adapters.fabric.identity import Identity, NotAnIdentity, identity_of
from adapters.fabric.pem_signer import PemSigner
from adapters.fabric.proposal import NotOurTransaction, Proposal, check_prepared, propose
from adapters.p256_signer import P256_ORDER
from adapters.spi import Scheme, SigningFailed
from tests.adapters.fabric.memory_channel import person

KEY = ec.generate_private_key(ec.SECP256R1())
CALLER = person("ann")


class HighS:
    """A signer that breaks the port's promise of low s, as some HSMs do."""

    scheme = Scheme.P256
    public_key = KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    async def sign(self, digest: bytes) -> bytes:
        signature = await PemSigner(KEY).sign(digest)
        s = P256_ORDER - int.from_bytes(signature[32:64], "big")
        return signature[:32] + s.to_bytes(32, "big") + b"\x00"


def identity(signer: Any) -> Identity:
    return Identity(CALLER.msp_id, CALLER.certificate, signer)


@pytest.mark.parametrize("signer", [PemSigner(KEY), HighS()])
async def test_signatures_verify_and_have_the_low_s(signer: Any) -> None:
    for number in range(16):
        message = b"message %d" % number
        signature = await identity(signer).sign(message)
        r, s = decode_dss_signature(signature)
        assert s <= P256_ORDER // 2
        KEY.public_key().verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))


async def test_a_transaction_id_belongs_to_nonce_and_creator() -> None:
    one = await propose(identity(PemSigner(KEY)), "trade", "isthmus", [b"refund"], 5)
    two = await propose(identity(PemSigner(KEY)), "trade", "isthmus", [b"refund"], 5)
    assert one.transaction != two.transaction
    header = common_pb2.Header.FromString(one.header)
    signature_header = common_pb2.SignatureHeader.FromString(header.signature_header)
    expected = hashlib.sha256(signature_header.nonce + signature_header.creator).hexdigest()
    assert one.transaction == expected
    channel_header = common_pb2.ChannelHeader.FromString(header.channel_header)
    assert channel_header.timestamp.ToNanoseconds() == 5
    assert (channel_header.channel_id, channel_header.tx_id) == ("trade", expected)
    KEY.public_key().verify(
        one.signed.signature, one.signed.proposal_bytes, ec.ECDSA(hashes.SHA256())
    )


def prepared(proposal: Proposal) -> Any:
    """As an honest gateway assembles it."""
    payload = proposal_pb2.ChaincodeProposalPayload(input=proposal.input)
    action = transaction_pb2.ChaincodeActionPayload(
        chaincode_proposal_payload=payload.SerializeToString()
    )
    transaction = transaction_pb2.Transaction(
        actions=[transaction_pb2.TransactionAction(payload=action.SerializeToString())]
    )
    body = common_pb2.Payload(
        header=common_pb2.Header.FromString(proposal.header), data=transaction.SerializeToString()
    )
    return common_pb2.Envelope(payload=body.SerializeToString())


async def test_only_the_own_transaction_is_signed() -> None:
    me = identity(PemSigner(KEY))
    own = await propose(me, "trade", "isthmus", [b"transfer", b"5"], 5)
    check_prepared(own, prepared(own))
    other = await propose(me, "trade", "isthmus", [b"transfer", b"500"], 5)
    mixed = Proposal(own.transaction, "trade", None, own.header, other.input)
    forgeries: list[Callable[[], Any]] = [
        lambda: prepared(other),
        lambda: prepared(mixed),
        lambda: prepared(Proposal(own.transaction, "trade", None, other.header, own.input)),
        lambda: common_pb2.Envelope(payload=b"\xff\xff"),
        lambda: common_pb2.Envelope(),
        lambda: _twice(own),
    ]
    for forge in forgeries:
        with pytest.raises(NotOurTransaction):
            check_prepared(own, forge())


def _twice(proposal: Proposal) -> Any:
    envelope = prepared(proposal)
    body = common_pb2.Payload.FromString(envelope.payload)
    transaction = transaction_pb2.Transaction.FromString(body.data)
    transaction.actions.append(transaction.actions[0])
    body.data = transaction.SerializeToString()
    return common_pb2.Envelope(payload=body.SerializeToString())


def test_a_proposal_does_not_show_its_arguments() -> None:
    shown = repr(Proposal("id", "trade", None, b"", b"preimage"))
    assert "preimage" not in shown


def test_an_identity_needs_its_own_p256_key() -> None:
    with pytest.raises(NotAnIdentity, match="another key"):
        identity_of("Org1MSP", CALLER.certificate, PemSigner(KEY))
    with pytest.raises(NotAnIdentity, match="PEM"):
        identity_of("Org1MSP", b"no certificate", PemSigner(KEY))

    class Wrong(HighS):
        scheme = Scheme.SECP256K1

    with pytest.raises(NotAnIdentity, match="secp256k1"):
        identity_of("Org1MSP", CALLER.certificate, Wrong())


def test_a_key_file_that_is_none_is_refused_without_its_content(tmp_path: Any) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(SigningFailed, match="cannot be read"):
        PemSigner.load(path)
    path.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(SigningFailed) as caught:
        PemSigner.load(path)
    assert "c2VjcmV0" not in str(caught.value)
    assert caught.value.__cause__ is None
    other = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(SigningFailed, match="P-256"):
        PemSigner.load(path)
    assert "hidden" in repr(PemSigner(KEY))


async def test_a_key_file_signs_as_any_other_p256_key_does() -> None:
    """Deterministic: no second signature of one digest, made with worse chance, tells the key."""
    digest = bytes(range(32))
    assert await PemSigner(KEY).sign(digest) == await PemSigner(KEY).sign(digest)
