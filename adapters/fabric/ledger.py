"""Reading the channel's ledger: blocks and transactions, asked of a peer's query chaincode."""

from __future__ import annotations

import re

from fabric_protos.common import configtx_pb2, ledger_pb2
from google.protobuf.message import DecodeError

from adapters.fabric.block import FabricBlock, NotABlock, read_block
from adapters.fabric.gateway import Gateway
from adapters.model import InvalidValue
from adapters.spi import Rejected, Unavailable

_QUERIES = "qscc"
_CONFIGURATION = "cscc"
_TRANSACTION = re.compile(r"[0-9a-f]{64}")


class LedgerReader:
    """One channel's ledger, as the organisation's own peer has it."""

    def __init__(self, name: str, gateway: Gateway, channel: str) -> None:
        """``name`` names the chain to people."""
        self._name = name
        self._gateway = gateway
        self._channel = channel

    async def newest(self, organisation: str | None = None) -> tuple[int, bytes]:
        """Number and hash of the newest block; of another organisation's peer, where named."""
        answer = await self._gateway.evaluate(
            _QUERIES, "GetChainInfo", self._channel, organisation=organisation
        )
        try:
            info = ledger_pb2.BlockchainInfo.FromString(answer)
        except DecodeError as error:
            raise self._garbage() from error
        if info.height == 0 or len(info.currentBlockHash) != 32:
            raise self._garbage()
        return info.height - 1, info.currentBlockHash

    async def block(self, number: int) -> FabricBlock:
        """Raises InvalidValue where there is none."""
        if number >= 0:
            try:
                answer = await self._gateway.evaluate(
                    _QUERIES, "GetBlockByNumber", self._channel, str(number)
                )
            except Rejected as error:
                newest, _ = await self.newest()
                if number <= newest:
                    raise Unavailable(f"{self._name}: the peer has no block {number}") from error
            else:
                block = self._read(answer)
                if block.number != number:
                    raise self._garbage()
                return block
        raise InvalidValue(f"{self._name} has no block {number}")

    async def block_of(self, transaction: str) -> FabricBlock:
        """The block that holds a transaction. Raises InvalidValue where there is none."""
        if _TRANSACTION.fullmatch(transaction) is None:
            raise InvalidValue("a transaction id of Fabric is 64 lower-case hex digits")
        try:
            answer = await self._gateway.evaluate(
                _QUERIES, "GetBlockByTxID", self._channel, transaction
            )
        except Rejected as error:
            raise InvalidValue(f"{self._name} has no transaction {transaction}") from error
        return self._read(answer)

    async def configuration(self) -> object:
        """The channel's configuration: common.Config."""
        answer = await self._gateway.evaluate(_CONFIGURATION, "GetChannelConfig", self._channel)
        try:
            config: object = configtx_pb2.Config.FromString(answer)
        except DecodeError as error:
            raise self._garbage() from error
        return config

    def _read(self, answer: bytes) -> FabricBlock:
        try:
            return read_block(answer)
        except NotABlock as error:
            raise Unavailable(f"{self._name}: {error}") from error

    def _garbage(self) -> Unavailable:
        return Unavailable(f"{self._name}: the peer's answer is not what was asked for")
