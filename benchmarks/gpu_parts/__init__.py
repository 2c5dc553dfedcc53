"""The steps of benchmarks.gpu."""
