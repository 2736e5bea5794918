"""A chaincode package for a chaincode that runs as a service.

One package for all organisations: it holds no code, only how a peer reaches the service. Each
peer's builder fills in its own address and authority. The format is that of Fabric's lifecycle: a
gzipped tar of ``metadata.json`` and ``code.tar.gz``; the package's id is its label and the SHA-256
of its bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping

VERSION = "1"


def make_package(chaincode: str) -> bytes:
    connection = {
        # The builder takes these as templates of Go.
        "address": f'{{{{index . "{chaincode}_address"}}}}',
        "dial_timeout": "10s",
        "tls_required": True,
        "client_auth_required": False,
        "root_cert": '{{index . "root_certificate"}}',
    }
    code = _archive({"connection.json": json.dumps(connection).encode()})
    metadata = json.dumps({"type": "ccaas", "label": _label(chaincode)}).encode()
    return _archive({"metadata.json": metadata, "code.tar.gz": code})


def package_id(chaincode: str, package: bytes) -> str:
    return f"{_label(chaincode)}:{hashlib.sha256(package).hexdigest()}"


def _label(chaincode: str) -> str:
    return f"{chaincode}_{VERSION}"


def _archive(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
