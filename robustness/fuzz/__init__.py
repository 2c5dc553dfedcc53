"""Fuzzing of every parser of untrusted data; run by `make fuzz`."""
