"""The demonstration: two organisations, three ledgers, every way a swap can go."""
