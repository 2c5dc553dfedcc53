"""The experiments of the paper: ablation, and training on synthetic data."""
