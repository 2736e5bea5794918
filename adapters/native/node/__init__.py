"""The embedded node: one process, one validator, CometBFT's RPC over HTTP and WebSocket."""
