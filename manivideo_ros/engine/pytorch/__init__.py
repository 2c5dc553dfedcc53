"""Runners on PyTorch: eager, with CUDA graphs, for latent models, and in windows."""
