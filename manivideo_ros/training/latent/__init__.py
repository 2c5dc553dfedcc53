"""Training of the latent model."""
