"""The network over pixel patches that runs live on a CPU."""
