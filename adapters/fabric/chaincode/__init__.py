"""The lock chaincode, run as a service: ``python -m adapters.fabric.chaincode``.

It imports neither web3 nor pydantic: a peer waits for it.
"""
