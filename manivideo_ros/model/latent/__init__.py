"""The latent model (presets `base` and `paper`), in Stable Diffusion 1.5's layout."""
