"""Robustness tests: corrupted files for every parser (fuzz), long runs and faults (soak)."""
