"""CometBFT 0.38's own encodings: what a block hashes to, and how its RPC writes it in JSON."""
