"""The network over latents at the paper's sizes, in Stable Diffusion 1.5's layout."""
