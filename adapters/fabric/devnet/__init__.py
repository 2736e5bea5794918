"""A Fabric development network: three organisations, their peers' Gateway services, one ordering
service and one channel, in one process of Python; beside it a chaincode process for each.

It speaks Fabric's own protocols on both sides, so clients and chaincodes that work here work on a
real network. Where it is less than one: the peers share one ledger and commit at once, the ordering
service is one node, and there is neither private data, nor key-level endorsement policies, nor any
change of the channel's configuration.
"""

from adapters.fabric.devnet.development_network import Devnet

__all__ = ["Devnet"]
