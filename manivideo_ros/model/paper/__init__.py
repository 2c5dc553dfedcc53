"""The network at the paper's sizes: latent video diffusion over Stable Diffusion 1.5's layout."""
