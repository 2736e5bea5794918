"""Vectors that every language's codec is run against: Python, Solidity, the chaincode."""
