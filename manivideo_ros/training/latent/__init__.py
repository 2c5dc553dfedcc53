"""Training of the network over latents."""
