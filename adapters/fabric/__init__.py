"""Hyperledger Fabric: the chaincode that holds the locks, and the driver that speaks to a channel
through a peer's Gateway service."""
