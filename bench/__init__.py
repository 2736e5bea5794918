"""Benchmarks: what the engine takes in per second, and what two gateways add to a swap."""
