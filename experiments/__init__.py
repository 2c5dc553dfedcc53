"""Experiments: the paper's ablation, and training an estimator on synthetic data."""
