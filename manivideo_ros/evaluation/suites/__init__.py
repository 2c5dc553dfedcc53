"""Data to evaluate on: the held-out suite, DexYCB, stored shards, recorded streams."""
