"""What is measured on: the held-out suite, DexYCB, stored shards, recorded streams."""
