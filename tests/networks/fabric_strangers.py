"""Who signs what is not theirs to sign."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from fabric_protos.msp import identities_pb2

from adapters.devnet_certificates import issue_identity, make_authority
from tests.adapters.fabric.devnet.gateway_client import User

GARBAGE = b"\xff\xff\xff\xff"


def sign_with_another_key(data: bytes) -> bytes:
    return User(b"", ec.generate_private_key(ec.SECP256R1())).sign(data)


def stranger(msp_id: str) -> User:
    """Whose certificate is by an authority that nobody knows."""
    authority = make_authority("nobody", msp_id)
    issued = issue_identity(authority, "stranger", msp_id, "client")
    serialized = identities_pb2.SerializedIdentity(
        mspid=msp_id, id_bytes=issued.certificate_pem()
    ).SerializeToString()
    return User(serialized, issued.key)


def msp_of(user: User) -> str:
    return str(identities_pb2.SerializedIdentity.FromString(user.serialized).mspid)
