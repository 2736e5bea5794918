"""The native ledger's application: pure, deterministic, driven through ABCI 2.0."""
