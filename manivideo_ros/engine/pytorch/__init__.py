"""The network executed by PyTorch: eagerly, in CUDA graphs, over latents, in windows."""
