"""Training: the loss, the loop, its description in YAML."""
