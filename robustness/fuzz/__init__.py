"""Corrupted files for every parser that meets foreign bytes. `make fuzz` runs it for long."""
