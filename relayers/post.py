"""A post: one chain, and who acts on it for this process."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.model import AccountId, ChainId
from adapters.spi import Adapter, Credential


@dataclass(frozen=True, slots=True)
class Post:
    adapter: Adapter
    credential: Credential

    @property
    def name(self) -> str:
        """The operator's name of the chain."""
        return self.adapter.profile.name

    @property
    def id(self) -> ChainId:
        return self.adapter.profile.chain

    @property
    def account(self) -> AccountId:
        return self.credential.account
