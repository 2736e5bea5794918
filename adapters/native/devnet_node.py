"""The old name of ``adapters.native.new_block``."""

from adapters.native.new_block import new_block as first_block

__all__ = ["first_block"]
