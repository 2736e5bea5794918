"""The native ledger: a deterministic application, an embedded node, and the driver for both the
embedded node and real CometBFT 0.38 networks.

app/        the state machine, shaped for ABCI 2.0, with its Merkle state and transactions
cometbft/   CometBFT's hashes and protobuf encodings, as far as they are needed here
node/       one process that makes blocks and serves CometBFT's RPC
driver.py   the adapter; speaks CometBFT's RPC only
"""
