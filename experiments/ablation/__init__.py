"""Ablation: inputs, networks of the rows, training, measures and tables."""
