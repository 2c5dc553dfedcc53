"""Training: runs described in YAML, batches, the training loop, checkpoints."""
