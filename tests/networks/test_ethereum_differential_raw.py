"""Anvil held to Geth where the driver has no part in what is sent: transactions that are wrong in
every way, and reads that are.

What a node says is judged as the driver judges it (``node_errors``); then a block is made, and what
is in it compared. ``DIFFERENCES`` has what differs, and why it is no matter; a difference that is
gone must go from there too.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from adapters.codec.keccak import keccak256
from adapters.codec.secp256k1 import address_of
from adapters.ethereum import rlp
from adapters.ethereum.identity import checksummed
from adapters.ethereum.lock_contract import CLAIM, CLAIMED, LOCK_COIN, OPENED, REFUND, Call, encode
from adapters.ethereum.node_errors import NodeRefused, rejection
from adapters.ethereum.real_network import CHAIN_NUMBER
from adapters.ethereum.signed_transaction import Fees, sign
from tests.adapters.ethereum.signer import LocalSigner
from tests.networks.anvil_and_geth import PRICE, Grounds, Pair, Side, grounds_in, pair_on
from tests.networks.geth import geth_or_skip

pytestmark = pytest.mark.shows("ethereum", "Anvil and Geth", "the same calls, the same outcomes")
geth_or_skip()

POCKET = 10**18
"""Wei of each account that a wrong transaction comes from; each has one of its own."""
SINK = b"\x51" * 20
LEGACY = Fees(PRICE, None)


@pytest.fixture(scope="module")
def grounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    with grounds_in(tmp_path_factory.mktemp("raw")) as grounds:
        yield grounds


@dataclass(frozen=True)
class Sender:
    """An account of the case's own, with its next nonce, and the lock contract."""

    signer: LocalSigner
    contract: bytes
    now: int

    async def signed(
        self,
        call: Call | None = None,
        *,
        nonce: int = 0,
        gas: int = 100_000,
        fees: Fees = LEGACY,
        chain: int = CHAIN_NUMBER,
    ) -> bytes:
        call = Call(SINK, 1, b"") if call is None else call
        return (await sign(self.signer, chain, nonce, gas, fees, call)).raw

    def lock(self, *, amount: int = 5, hashlock: bytes = b"\x07" * 32, deadline: int = 0) -> Call:
        until = deadline or self.now + 10_000
        return Call(self.contract, amount, encode(LOCK_COIN, SINK, hashlock, until))


Case = Callable[[Sender], Awaitable[Sequence[bytes]]]
"""Makes the raw transactions of a case, to be handed in one after the other."""


async def _one(signing: Awaitable[bytes]) -> Sequence[bytes]:
    return [await signing]


async def _replayed(sender: Sender) -> Sequence[bytes]:
    return [await sender.signed()] * 2


async def _replaced(sender: Sender, *, by: int) -> Sequence[bytes]:
    fees = Fees(PRICE * (100 + by) // 100, None)
    other = Call(SINK, 2, b"")
    return [await sender.signed(), await sender.signed(other, fees=fees)]


async def _altered(sender: Sender, alter: Callable[[list[rlp.Item]], None]) -> Sequence[bytes]:
    """A legacy transfer whose encoding is changed after it was signed."""
    fields: list[rlp.Item] = [0, PRICE, 100_000, SINK, 1, b""]
    digest = keccak256(rlp.encode([*fields, CHAIN_NUMBER, 0, 0]))
    signature = await sender.signer.sign(digest)
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    fields += [CHAIN_NUMBER * 2 + 35 + signature[64], r, s]
    alter(fields)
    return [rlp.encode(fields)]


_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def _unsigned(fields: list[rlp.Item]) -> None:
    fields[7:] = [0, 0]


def _high_s(fields: list[rlp.Item]) -> None:
    v, s = fields[6], fields[8]
    assert isinstance(v, int)
    assert isinstance(s, int)
    fields[6], fields[8] = (
        v ^ 1 if False else (CHAIN_NUMBER * 2 + 35) + (1 - (v - CHAIN_NUMBER * 2 - 35)),
        _ORDER - s,
    )


def _without_chain(fields: list[rlp.Item]) -> None:
    """Signed for another digest then: of an account that holds nothing."""
    v = fields[6]
    assert isinstance(v, int)
    fields[6] = 27 + (v - CHAIN_NUMBER * 2 - 35)


CASES: Mapping[str, Case] = {
    "a transfer": lambda one: _one(one.signed()),
    "a transfer of type 2": lambda one: _one(one.signed(fees=Fees(PRICE, PRICE))),
    "a lock": lambda one: _one(one.signed(one.lock())),
    "the same again": _replayed,
    "another chain's": lambda one: _one(one.signed(chain=1)),
    "another chain's, of type 2": lambda one: _one(one.signed(chain=1, fees=Fees(PRICE, 1))),
    "a nonce gap": lambda one: _one(one.signed(nonce=3)),
    "a nonce far ahead": lambda one: _one(one.signed(nonce=2**63)),
    "a replacement at the same price": lambda one: _replaced(one, by=0),
    "a replacement too cheap": lambda one: _replaced(one, by=5),
    "a replacement a tenth dearer": lambda one: _replaced(one, by=10),
    "a replacement an eighth dearer": lambda one: _replaced(one, by=13),
    "more than it holds": lambda one: _one(one.signed(Call(SINK, 10**20, b""))),
    "all that it holds, and no fee": lambda one: _one(one.signed(Call(SINK, POCKET, b""))),
    "too little gas for anything": lambda one: _one(one.signed(gas=20_000)),
    "too little gas for the lock": lambda one: _one(one.signed(one.lock(), gas=30_000)),
    "more gas than a block has": lambda one: _one(one.signed(gas=31_000_000)),
    "more gas than a transaction may": lambda one: _one(one.signed(gas=17_000_000)),
    "a tip above the cap": lambda one: _one(one.signed(fees=Fees(PRICE, PRICE + 1))),
    "a price of nothing": lambda one: _one(one.signed(fees=Fees(0, None))),
    "a price below the base fee": lambda one: _one(one.signed(fees=Fees(2, None))),
    "a creation too large": lambda one: _one(
        one.signed(Call(b"", 0, b"\x00" * 50_000), gas=3_000_000)
    ),
    "a creation that ends in nothing": lambda one: _one(one.signed(Call(b"", 0, b"\x00"))),
    "a lock of nothing": lambda one: _one(one.signed(one.lock(amount=0))),
    "a lock under the zero hash": lambda one: _one(one.signed(one.lock(hashlock=bytes(32)))),
    "a lock for yesterday": lambda one: _one(one.signed(one.lock(deadline=one.now - 86_400))),
    "a claim of no lock": lambda one: _one(
        one.signed(Call(one.contract, 0, encode(CLAIM, SINK, SINK, SINK, 1, b"\x01" * 32, 9)))
    ),
    "a refund of no lock": lambda one: _one(
        one.signed(Call(one.contract, 0, encode(REFUND, SINK, SINK, SINK, 1, b"\x01" * 32, 9)))
    ),
    "a call of no function": lambda one: _one(one.signed(Call(one.contract, 0, b"\xff" * 4))),
    "coin for the lock contract": lambda one: _one(one.signed(Call(one.contract, 5, b""))),
    "unsigned": lambda one: _altered(one, _unsigned),
    "signed with a high s": lambda one: _altered(one, _high_s),
    "signed for no chain": lambda one: _altered(one, _without_chain),
    "a field too few": lambda one: _altered(one, lambda fields: fields.pop()),
    "a field too many": lambda one: _altered(one, lambda fields: fields.append(0)),
}


@dataclass(frozen=True)
class Difference:
    anvil: str
    geth: str
    why: str


DIFFERENCES: Mapping[str, Difference] = {
    "another chain's": Difference(
        "taken", "Unknown", "Anvil does not look at the chain id of a legacy transaction"
    ),
    "signed for no chain": Difference(
        "Rejected insufficient_balance",
        "Unknown",
        "Anvil takes what is signed for no chain, here of an account that nobody has; Geth's RPC "
        "does not",
    ),
    "signed with a high s": Difference(
        "taken", "Unknown", "Anvil does not hold signatures to EIP-2; the driver makes none"
    ),
    "a replacement too cheap": Difference(
        "taken", "NotSent", "Anvil takes any higher price, Geth a tenth more; the driver an eighth"
    ),
    "more gas than a transaction may": Difference(
        "taken", "Rejected insufficient_fee", "Anvil does not know the cap of EIP-7825"
    ),
    "a price below the base fee": Difference(
        "NotSent", "taken", "Geth keeps it until the base fee has fallen; the driver replaces it"
    ),
}
"""What comes out otherwise, and why it is no matter."""


async def judged(side: Side, raw: bytes) -> str:
    """What the driver makes of a node's answer, the words left out."""
    return await side.outcome(side.rpc.broadcast(raw))


async def came_of(side: Side, address: str, transactions: Sequence[bytes]) -> list[Any]:
    """After a block: what the account has, and each transaction's receipt."""
    found: list[Any] = [
        side.ask("eth_getBalance", address, "latest"),
        side.ask("eth_getTransactionCount", address, "latest"),
    ]
    for raw in transactions:
        receipt = side.ask("eth_getTransactionReceipt", "0x" + keccak256(raw).hex())
        told = receipt and [receipt[name] for name in ("status", "gasUsed", "contractAddress")]
        found.append(told)
    return found


async def test_transactions_wrong_in_every_way(grounds: Grounds) -> None:
    async with pair_on(grounds) as pair:
        contract = bytes.fromhex(pair.sides[0].settings["contract"][2:])
        senders = {name: Sender(LocalSigner(f"raw {name}"), contract, pair.time) for name in CASES}
        await _fill(pair, list(senders.values()))
        handed: dict[str, Sequence[bytes]] = {}
        for name, case in CASES.items():
            handed[name] = await case(senders[name])
            for raw in handed[name]:
                await pair.both(name, lambda side, one=raw: judged(side, one))
        pair.mine()
        pair.mine()
        for name, transactions in handed.items():
            address = _address(senders[name])
            seen = [await came_of(side, address, transactions) for side in pair.sides]
            if seen[0] != seen[1] and name not in pair.found:
                pair.found[name] = (str(seen[0]), str(seen[1]))
        expected = {name: (one.anvil, one.geth) for name, one in DIFFERENCES.items()}
        assert pair.found == expected


MALFORMED = {
    "nothing": b"",
    "a zero": b"\x00",
    "an empty list": b"\xc0",
    "a type that there is not": b"\x7f\xc0",
    "a type alone": b"\x02",
    "text": b"not a transaction",
    "a list without its end": b"\xf8\xff\x01",
}


async def test_what_is_no_transaction(grounds: Grounds) -> None:
    """Of everything that is no transaction the driver says alike that it does not know."""
    async with pair_on(grounds) as pair:
        sender = Sender(LocalSigner("party 1"), SINK, pair.time)
        whole = await sender.signed(nonce=1_000)
        generator = random.Random(20_261)
        cut = {f"cut after {end}": whole[:end] for end in range(1, len(whole), 9)}
        noise = {f"noise {number}": generator.randbytes(40) for number in range(20)}
        for name, raw in {**MALFORMED, **cut, **noise}.items():
            told = await pair.both(name, lambda side, one=raw: judged(side, one))
            assert told == "Unknown", name
        assert pair.found == {}


def _logs(**where: Any) -> tuple[str, Any]:
    return "eth_getLogs", [where]


READS: Mapping[str, tuple[str, Sequence[Any]]] = {
    "all logs": _logs(fromBlock="0x0", toBlock="latest"),
    "the locks'": _logs(fromBlock="0x0", toBlock="latest", topics=["0x" + OPENED.hex()]),
    "locks or claims": _logs(fromBlock="0x0", topics=[["0x" + OPENED.hex(), "0x" + CLAIMED.hex()]]),
    "nobody's": _logs(fromBlock="0x0", address="0x" + "ab" * 20),
    "of an empty block": _logs(fromBlock="latest", toBlock="latest"),
    "backwards": _logs(fromBlock="0x9", toBlock="0x3"),
    "beyond the newest block": _logs(fromBlock="0xffffff", toBlock="0xfffffff"),
    "up to beyond the newest block": _logs(fromBlock="0x0", toBlock="0xffffff"),
    "by no block's hash": _logs(blockHash="0x" + "ab" * 32),
    "by a hash and a height": _logs(blockHash="0x" + "ab" * 32, fromBlock="0x1"),
    "of an address too short": _logs(fromBlock="0x0", address="0xabcd"),
    "of a height that is none": _logs(fromBlock="ten"),
    "a block that is not there": ("eth_getBlockByNumber", ["0xffffff", False]),
    "a block of no hash": ("eth_getBlockByHash", ["0x" + "ab" * 32, False]),
    "a receipt of nothing": ("eth_getTransactionReceipt", ["0x" + "ab" * 32]),
    "a transaction of nothing": ("eth_getTransactionByHash", ["0x" + "ab" * 32]),
    "code where there is none": ("eth_getCode", ["0x" + "ab" * 20, "latest"]),
    "a balance at no block": ("eth_getBalance", ["0x" + "ab" * 20, "0xffffff"]),
    "a balance of no address": ("eth_getBalance", ["0xab", "latest"]),
    "too few arguments": ("eth_getBalance", []),
    "a method that there is not": ("eth_nothing", []),
}

READ_DIFFERENCES: Mapping[str, Difference] = {
    "backwards": Difference("[]", "refused", "the driver asks for no such range"),
    "up to beyond the newest block": Difference(
        "logs", "refused", "the driver asks for no block that its node has not shown"
    ),
}


async def test_reads_right_and_wrong(grounds: Grounds) -> None:
    async with pair_on(grounds) as pair:
        sender = Sender(
            LocalSigner("party 0"), bytes.fromhex(pair.sides[0].settings["contract"][2:]), pair.time
        )
        own = checksummed(address_of(sender.signer.public_key))
        first = int(pair.sides[0].ask("eth_getTransactionCount", own, "latest"), 16)
        for number in range(3):
            for side in pair.sides:
                await side.send(sender.signer, sender.lock(amount=number + 1), first + number)
            pair.mine()
        pair.mine()
        # What was deployed stands in different blocks.
        begin = hex(pair.begin)
        for name, (method, params) in READS.items():
            params = [_from(one, begin) for one in params]
            await pair.both(name, lambda side, m=method, p=params: _read(side, m, p))
        for name in ("lock of nothing", "claim of no lock"):
            arguments = (SINK, SINK, SINK, 1, b"\x01" * 32, 9)
            call = (
                sender.lock(amount=0).data
                if name == "lock of nothing"
                else encode(CLAIM, *arguments)
            )
            asked = [{"to": checksummed(sender.contract), "data": "0x" + call.hex()}, "latest"]
            for method in ("eth_call", "eth_estimateGas"):
                params = asked if method == "eth_call" else asked[:1]
                told = await pair.both(
                    f"{method}: {name}", lambda side, m=method, p=params: _read(side, m, p)
                )
                assert told.startswith("Rejected"), told
        seen = {name: tuple(map(_in_short, answers)) for name, answers in pair.found.items()}
        assert seen == {name: (one.anvil, one.geth) for name, one in READ_DIFFERENCES.items()}


def _in_short(answer: str) -> str:
    return "logs" if answer.startswith("[[") else answer


def _from(parameter: Any, begin: str) -> Any:
    if isinstance(parameter, dict) and parameter.get("fromBlock") == "0x0":
        return {**parameter, "fromBlock": begin}
    return parameter


async def _read(side: Side, method: str, params: Sequence[Any]) -> str:
    """What a node answers, as far as it must be the same; or what the driver makes of a refusal."""
    try:
        answer = await side.rpc.call(method, *params)
    except NodeRefused as refused:
        known = rejection(refused)
        return f"Rejected {known[0]}" if known is not None else "refused"
    if not isinstance(answer, list):
        return str(answer)
    names = ("address", "topics", "data", "blockNumber", "logIndex", "transactionIndex", "removed")
    return str([[one[name] for name in names] for one in answer])


def _address(sender: Sender) -> str:
    return checksummed(address_of(sender.signer.public_key))


async def _fill(pair: Pair, senders: Sequence[Sender]) -> None:
    """Gives each its pocket, out of a party's."""
    rich = LocalSigner("party 2")
    own = checksummed(address_of(rich.public_key))
    first = int(pair.sides[0].ask("eth_getTransactionCount", own, "latest"), 16)
    for number, sender in enumerate(senders):
        to = bytes.fromhex(_address(sender)[2:])
        for side in pair.sides:
            await side.send(rich, Call(to, POCKET, b""), first + number)
        if number % 16 == 15:
            pair.mine()
    pair.mine()
    for sender in senders:
        for side in pair.sides:
            assert int(side.ask("eth_getBalance", _address(sender), "latest"), 16) == POCKET
