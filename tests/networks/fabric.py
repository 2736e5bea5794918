"""A real Hyperledger Fabric 3.1 network on loopback: one orderer, three organisations with a peer
each, one channel, the lock chaincode and a token chaincode as services, two of three to endorse.

Fabric's programs come from a release unpacked under FABRIC_HOME, or from PATH beside its
``config`` and ``builders`` folders. Everything that is started here is stopped here, by its
process object.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from adapters.fabric.block import read_block

CHANNEL = "trade"
CHAINCODE = "isthmus"
TOKEN = "token"
CLOCK_BOUND = 3
ORGANISATIONS = 3
_PROGRAMS = ("peer", "orderer", "osnadmin", "configtxgen", "cryptogen")


class FabricFailed(Exception):
    """A part of the network did not start; the message names its log."""


@dataclass(frozen=True, slots=True)
class Release:
    """Where Fabric's programs and sample configuration are."""

    bin: Path
    config: Path
    builder: Path


def find_release() -> Release | str:
    """The release, or one sentence on why there is none."""
    homes = [Path(os.environ["FABRIC_HOME"])] if os.environ.get("FABRIC_HOME") else []
    peer = shutil.which("peer")
    if peer:
        homes.append(Path(peer).resolve().parent.parent)
    for home in homes:
        release = Release(home / "bin", home / "config", home / "builders" / "ccaas")
        wanted = [release.bin / name for name in _PROGRAMS]
        wanted += [release.config / "core.yaml", release.config / "orderer.yaml", release.builder]
        if all(path.exists() for path in wanted):
            return release
    return "Hyperledger Fabric 3.1: unpack a release and name its folder in FABRIC_HOME"


@dataclass(frozen=True, slots=True)
class User:
    """A client identity of an organisation."""

    msp_id: str
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Ports:
    """Thirty ports from a base: the orderer's three, then nine for each organisation."""

    base: int

    def orderer(self, offset: int = 0) -> int:
        return self.base + offset

    def peer(self, number: int, offset: int = 0) -> int:
        """Offsets: 0 the peer, 1 its chaincode listener, 2 operations, 3 and 4 the chaincodes."""
        return self.base + 9 * number + offset

    def all(self) -> Sequence[int]:
        own = [self.orderer(offset) for offset in range(3)]
        return own + [
            self.peer(number, offset)
            for number in range(1, ORGANISATIONS + 1)
            for offset in range(5)
        ]


class FabricNetwork:
    """One network in one folder. Use ``running``. Nothing here is given up for being slow: it waits
    for a part as long as that lives, and the suite ends a test that hangs."""

    def __init__(self, release: Release, folder: Path, ports: Ports) -> None:
        self._release = release
        self._folder = folder
        self._ports = ports
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._orderer = folder / "crypto/ordererOrganizations/orderer.test"
        self.genesis_hash = b""
        """SHA-256 of the genesis block's header, once started."""

    # what a client needs

    def msp_id(self, number: int) -> str:
        return f"Org{number}MSP"

    def peer_address(self, number: int) -> str:
        return f"127.0.0.1:{self._ports.peer(number)}"

    def tls_ca(self, number: int) -> Path:
        return self._peer_folder(number) / "tls/ca.crt"

    def user(self, number: int, name: str = "User1") -> User:
        """User1 to User3 or Admin."""
        folder = self._organisation(number) / f"users/{name}@org{number}.test/msp"
        return User(
            self.msp_id(number),
            next((folder / "signcerts").iterdir()),
            next((folder / "keystore").iterdir()),
        )

    # life

    def start(self) -> None:
        """Raises FabricFailed."""
        for port in self._ports.all():
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    raise FabricFailed(f"port {port} is taken")
        for name in ("config", "logs", "data", "packages"):
            (self._folder / name).mkdir(parents=True)
        self._make_identities()
        self._make_channel()
        self._start_orderer()
        for number in self._numbers():
            self._start_peer(number)
        self._wait_for("orderer", self._ports.orderer(1))
        self._wait_for("orderer", self._ports.orderer())
        for number in self._numbers():
            self._wait_for(f"peer{number}", self._ports.peer(number))
        self._join()
        self._deploy(CHAINCODE, 3, ("-m", "adapters.fabric.chaincode"))
        self._deploy(TOKEN, 4, ("-m", "tests.networks.fabric_token"))
        self.invoke(CHAINCODE, "configure", self.genesis_hash.hex(), str(CLOCK_BOUND))
        self.invoke(CHAINCODE, "adopt_token", TOKEN, "TOK", "2")

    def stop(self) -> None:
        for name in list(self._processes):
            self._processes[name].terminate()
        for name in list(self._processes):
            self._end(name)

    def restart_peer(self, number: int) -> None:
        """Kills a peer and starts it again on its ledger."""
        self.kill(f"peer{number}")
        self._start_peer(number)
        self._wait_for(f"peer{number}", self._ports.peer(number))

    def kill(self, name: str) -> None:
        """Kills one part: orderer, peerN, isthmusN, tokenN."""
        self._processes[name].kill()
        self._end(name)

    def start_orderer(self) -> None:
        """Starts the orderer again that was killed."""
        self._start_orderer()
        self._wait_for("orderer", self._ports.orderer())

    def invoke(self, chaincode: str, *words: str, user: tuple[int, str] = (1, "Admin")) -> None:
        """One transaction through the peer's own command line, awaited until it is committed."""
        self._as(
            user[0],
            [
                "chaincode",
                "invoke",
                *self._to_orderer(),
                "-C",
                CHANNEL,
                "-n",
                chaincode,
                *self._at_all_peers(),
                "--waitForEvent",
                "-c",
                json.dumps({"Args": list(words)}),
            ],
            user[1],
        )

    # parts

    def _numbers(self) -> range:
        return range(1, ORGANISATIONS + 1)

    def _organisation(self, number: int) -> Path:
        return self._folder / f"crypto/peerOrganizations/org{number}.test"

    def _peer_folder(self, number: int) -> Path:
        return self._organisation(number) / f"peers/peer0.org{number}.test"

    def _make_identities(self) -> None:
        names = ["localhost", "127.0.0.1"]
        wanted = {
            "OrdererOrgs": [
                {
                    "Name": "Orderer",
                    "Domain": "orderer.test",
                    "EnableNodeOUs": True,
                    "Specs": [{"Hostname": "o0", "SANS": names}],
                }
            ],
            "PeerOrgs": [
                {
                    "Name": f"Org{number}",
                    "Domain": f"org{number}.test",
                    "EnableNodeOUs": True,
                    "Users": {"Count": 3},
                    "Template": {"Count": 1, "SANS": names},
                }
                for number in self._numbers()
            ],
        }
        path = self._folder / "config/crypto-config.yaml"
        path.write_text(yaml.safe_dump(wanted))
        crypto = self._folder / "crypto"
        self._run("cryptogen", ["generate", "--config", str(path), "--output", str(crypto)])

    def _make_channel(self) -> None:
        tls = self._orderer / "orderers/o0.orderer.test/tls/server.crt"
        meta = _policies("ANY Readers", "ANY Writers", "MAJORITY Admins")
        orderer = _organisation("OrdererMSP", self._orderer / "msp", "member")
        orderer["OrdererEndpoints"] = [f"127.0.0.1:{self._ports.orderer()}"]
        peers = []
        for number in self._numbers():
            organisation = _organisation(
                self.msp_id(number), self._organisation(number) / "msp", "peer"
            )
            # Without anchor peers a gateway never learns of the other organisations' endorsers.
            organisation["AnchorPeers"] = [{"Host": "127.0.0.1", "Port": self._ports.peer(number)}]
            peers.append(organisation)
        majority = {"Type": "ImplicitMeta", "Rule": "MAJORITY Endorsement"}
        profile = {
            "Capabilities": {"V3_0": True},
            "Policies": meta,
            "Orderer": {
                "OrdererType": "etcdraft",
                "BatchTimeout": "200ms",
                "BatchSize": {
                    "MaxMessageCount": 500,
                    "AbsoluteMaxBytes": "10 MB",
                    "PreferredMaxBytes": "2 MB",
                },
                "Organizations": [orderer],
                "Capabilities": {"V2_0": True},
                "Policies": meta
                | {"BlockValidation": {"Type": "ImplicitMeta", "Rule": "ANY Writers"}},
                "EtcdRaft": {
                    "Options": {
                        "TickInterval": "100ms",
                        "ElectionTick": 10,
                        "HeartbeatTick": 1,
                        "MaxInflightBlocks": 5,
                        "SnapshotIntervalSize": "16 MB",
                    },
                    "Consenters": [
                        {
                            "Host": "127.0.0.1",
                            "Port": self._ports.orderer(),
                            "ClientTLSCert": str(tls),
                            "ServerTLSCert": str(tls),
                        }
                    ],
                },
            },
            "Application": {
                "Organizations": peers,
                "Capabilities": {"V2_5": True},
                "Policies": meta | {"LifecycleEndorsement": majority, "Endorsement": majority},
            },
        }
        config = self._folder / "config"
        (config / "configtx.yaml").write_text(yaml.safe_dump({"Profiles": {"Net": profile}}))
        genesis = self._folder / "genesis.block"
        self._run(
            "configtxgen",
            [
                "-configPath",
                str(config),
                "-profile",
                "Net",
                "-channelID",
                CHANNEL,
                "-outputBlock",
                str(genesis),
            ],
        )
        self.genesis_hash = read_block(genesis.read_bytes()).hash
        core = yaml.safe_load((self._release.config / "core.yaml").read_text())
        core["vm"]["endpoint"] = ""
        core["chaincode"]["externalBuilders"] = [
            {
                "name": "ccaas_builder",
                "path": str(self._release.builder),
                "propagateEnvironment": ["CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG"],
            }
        ]
        (config / "core.yaml").write_text(yaml.safe_dump(core))
        shutil.copy(self._release.config / "orderer.yaml", config / "orderer.yaml")

    def _start_orderer(self) -> None:
        node = self._orderer / "orderers/o0.orderer.test"
        tls, data = node / "tls", self._folder / "data/orderer"
        self._start(
            "orderer",
            [str(self._release.bin / "orderer")],
            {
                "ORDERER_GENERAL_LISTENADDRESS": "127.0.0.1",
                "ORDERER_GENERAL_LISTENPORT": str(self._ports.orderer()),
                "ORDERER_GENERAL_LOCALMSPID": "OrdererMSP",
                "ORDERER_GENERAL_LOCALMSPDIR": str(node / "msp"),
                "ORDERER_GENERAL_TLS_ENABLED": "true",
                "ORDERER_GENERAL_TLS_PRIVATEKEY": str(tls / "server.key"),
                "ORDERER_GENERAL_TLS_CERTIFICATE": str(tls / "server.crt"),
                "ORDERER_GENERAL_TLS_ROOTCAS": f"[{tls / 'ca.crt'}]",
                "ORDERER_GENERAL_CLUSTER_CLIENTCERTIFICATE": str(tls / "server.crt"),
                "ORDERER_GENERAL_CLUSTER_CLIENTPRIVATEKEY": str(tls / "server.key"),
                "ORDERER_ADMIN_LISTENADDRESS": f"127.0.0.1:{self._ports.orderer(1)}",
                "ORDERER_ADMIN_TLS_ENABLED": "true",
                "ORDERER_ADMIN_TLS_CERTIFICATE": str(tls / "server.crt"),
                "ORDERER_ADMIN_TLS_PRIVATEKEY": str(tls / "server.key"),
                "ORDERER_ADMIN_TLS_CLIENTROOTCAS": f"[{tls / 'ca.crt'}]",
                "ORDERER_OPERATIONS_LISTENADDRESS": f"127.0.0.1:{self._ports.orderer(2)}",
                "ORDERER_FILELEDGER_LOCATION": str(data),
                "ORDERER_CONSENSUS_WALDIR": str(data / "wal"),
                "ORDERER_CONSENSUS_SNAPDIR": str(data / "snap"),
            },
        )

    def _start_peer(self, number: int) -> None:
        node = self._peer_folder(number)
        tls, data = node / "tls", self._folder / f"data/peer{number}"
        chaincodes = {
            f"{name}_address": f"127.0.0.1:{self._ports.peer(number, offset)}"
            for name, offset in ((CHAINCODE, 3), (TOKEN, 4))
        }
        self._start(
            f"peer{number}",
            [str(self._release.bin / "peer"), "node", "start"],
            {
                "CORE_PEER_ID": f"peer0.org{number}.test",
                "CORE_PEER_LOCALMSPID": self.msp_id(number),
                "CORE_PEER_MSPCONFIGPATH": str(node / "msp"),
                "CORE_PEER_LISTENADDRESS": self.peer_address(number),
                "CORE_PEER_ADDRESS": self.peer_address(number),
                "CORE_PEER_CHAINCODELISTENADDRESS": f"127.0.0.1:{self._ports.peer(number, 1)}",
                "CORE_PEER_GOSSIP_BOOTSTRAP": self.peer_address(number),
                "CORE_PEER_GOSSIP_EXTERNALENDPOINT": self.peer_address(number),
                # The intervals' defaults make a gateway find no endorsers for up to 30 seconds.
                "CORE_PEER_GOSSIP_RECONNECTINTERVAL": "1s",
                "CORE_PEER_GOSSIP_ALIVETIMEINTERVAL": "1s",
                "CORE_PEER_GOSSIP_PUBLISHSTATEINFOINTERVAL": "1s",
                "CORE_PEER_GOSSIP_REQUESTSTATEINFOINTERVAL": "1s",
                "CORE_PEER_TLS_ENABLED": "true",
                "CORE_PEER_TLS_CERT_FILE": str(tls / "server.crt"),
                "CORE_PEER_TLS_KEY_FILE": str(tls / "server.key"),
                "CORE_PEER_TLS_ROOTCERT_FILE": str(tls / "ca.crt"),
                "CORE_PEER_FILESYSTEMPATH": str(data),
                "CORE_LEDGER_SNAPSHOTS_ROOTDIR": str(data / "snapshots"),
                "CORE_OPERATIONS_LISTENADDRESS": f"127.0.0.1:{self._ports.peer(number, 2)}",
                "CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG": json.dumps(chaincodes),
            },
        )

    def _join(self) -> None:
        tls = self._orderer / "orderers/o0.orderer.test/tls"
        genesis = str(self._folder / "genesis.block")
        joined = self._run(
            "osnadmin",
            [
                "channel",
                "join",
                "--channelID",
                CHANNEL,
                "--config-block",
                genesis,
                "-o",
                f"127.0.0.1:{self._ports.orderer(1)}",
                "--ca-file",
                str(tls / "ca.crt"),
                "--client-cert",
                str(tls / "server.crt"),
                "--client-key",
                str(tls / "server.key"),
            ],
        )
        if "Status: 201" not in joined:
            raise FabricFailed(f"the orderer did not join the channel: {joined.strip()}")
        for number in self._numbers():
            self._as(number, ["channel", "join", "-b", genesis])

    def redefine(self, policy: str | None, sequence: int) -> None:
        """Commits a new definition of the lock chaincode with this signature policy; None: with
        the channel's own endorsement policy."""
        self._define(CHAINCODE, policy, sequence)

    def _deploy(self, name: str, offset: int, module: Sequence[str]) -> None:
        package = self._folder / f"packages/{name}.tar.gz"
        package.write_bytes(_package(name))
        identifier = self._package_id(name)
        for number in self._numbers():
            port = self._ports.peer(number, offset)
            self._start(
                f"{name}{number}",
                [sys.executable, *module],
                {
                    "CHAINCODE_ID": identifier,
                    "CHAINCODE_SERVER_ADDRESS": f"127.0.0.1:{port}",
                    "ISTHMUS_CLOCK_BOUND": str(CLOCK_BOUND),
                    "ISTHMUS_CHAIN": self.genesis_hash.hex(),
                    "ISTHMUS_TOKENS": TOKEN,
                },
            )
        for number in self._numbers():
            self._wait_for(f"{name}{number}", self._ports.peer(number, offset))
            self._as(number, ["lifecycle", "chaincode", "install", str(package)])
        principals = ",".join(f"'{self.msp_id(number)}.peer'" for number in self._numbers())
        self._define(name, f"OutOf(2,{principals})", 1)

    def _package_id(self, name: str) -> str:
        package = self._folder / f"packages/{name}.tar.gz"
        listed = self._run("peer", ["lifecycle", "chaincode", "calculatepackageid", str(package)])
        return listed.strip().splitlines()[-1]

    def _define(self, name: str, policy: str | None, sequence: int) -> None:
        definition = ["--channelID", CHANNEL, "--name", name, "--version", "1"]
        definition += ["--sequence", str(sequence)]
        if policy is not None:
            definition += ["--signature-policy", policy]
        approved = [*definition, "--package-id", self._package_id(name)]
        lifecycle = ("lifecycle", "chaincode")
        for number in self._numbers():
            self._as(number, [*lifecycle, "approveformyorg", *self._to_orderer(), *approved])
        self._as(1, [*lifecycle, "commit", *self._to_orderer(), *definition, *self._at_all_peers()])

    def _to_orderer(self) -> list[str]:
        ca = self._orderer / "orderers/o0.orderer.test/tls/ca.crt"
        return ["-o", f"127.0.0.1:{self._ports.orderer()}", "--tls", "--cafile", str(ca)]

    def _at_all_peers(self) -> list[str]:
        words = []
        for number in self._numbers():
            words += ["--peerAddresses", self.peer_address(number)]
            words += ["--tlsRootCertFiles", str(self.tls_ca(number))]
        return words

    # processes

    def _as(self, number: int, words: Sequence[str], user: str = "Admin") -> str:
        folder = self._organisation(number) / f"users/{user}@org{number}.test/msp"
        return self._run(
            "peer",
            words,
            {
                "CORE_PEER_LOCALMSPID": self.msp_id(number),
                "CORE_PEER_MSPCONFIGPATH": str(folder),
                "CORE_PEER_ADDRESS": self.peer_address(number),
                "CORE_PEER_TLS_ENABLED": "true",
                "CORE_PEER_TLS_ROOTCERT_FILE": str(self.tls_ca(number)),
            },
        )

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        return own | {"FABRIC_CFG_PATH": str(self._folder / "config")} | dict(more)

    def _run(
        self, program: str, words: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> str:
        done = subprocess.run(
            [str(self._release.bin / program), *words],
            env=self._environment({"FABRIC_LOGGING_SPEC": "error"} | dict(environment or {})),
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise FabricFailed(f"{program} {' '.join(words[:3])}: {done.stderr.strip()[-800:]}")
        return done.stdout + done.stderr if program == "osnadmin" else done.stdout

    def _start(self, name: str, words: Sequence[str], environment: Mapping[str, str]) -> None:
        with (self._folder / f"logs/{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                words,
                env=self._environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).resolve().parents[2],
                start_new_session=True,
            )

    def _wait_for(self, name: str, port: int) -> None:
        while self._processes[name].poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.05)
        raise FabricFailed(f"{name} does not listen on {port}: read {self._folder}/logs/{name}.log")

    def _end(self, name: str) -> None:
        process = self._processes.pop(name)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _leave(_number: int, _frame: object) -> None:
    raise SystemExit("terminated: the Fabric network is stopped first")


@contextlib.contextmanager
def running(release: Release, folder: Path, base: int) -> Iterator[FabricNetwork]:
    """A network that is ready for clients; gone afterwards, also where this process is ended by
    SIGTERM meanwhile."""
    network = FabricNetwork(release, folder, Ports(base))
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        network.start()
        yield network
    finally:
        network.stop()
        signal.signal(signal.SIGTERM, before)


def _organisation(msp_id: str, msp: Path, endorser: str) -> dict[str, object]:
    def rule(role: str) -> dict[str, str]:
        return {"Type": "Signature", "Rule": f"OR('{msp_id}.{role}')"}

    return {
        "Name": msp_id,
        "ID": msp_id,
        "MSPDir": str(msp),
        "Policies": {
            "Readers": rule("member"),
            "Writers": rule("member"),
            "Admins": rule("admin"),
            "Endorsement": rule(endorser),
        },
    }


def _policies(readers: str, writers: str, admins: str) -> dict[str, object]:
    return {
        name: {"Type": "ImplicitMeta", "Rule": rule}
        for name, rule in (("Readers", readers), ("Writers", writers), ("Admins", admins))
    }


def _package(name: str) -> bytes:
    """One package for all organisations: each peer's builder fills in its own address."""
    connection = {
        "address": "{{." + name + "_address}}",
        "dial_timeout": "10s",
        "tls_required": False,
    }
    code = _tar({"connection.json": json.dumps(connection).encode()})
    metadata = json.dumps({"type": "ccaas", "label": f"{name}_1"}).encode()
    return _tar({"metadata.json": metadata, "code.tar.gz": code})


def _tar(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)
