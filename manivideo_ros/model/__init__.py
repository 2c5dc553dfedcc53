"""The networks: configuration, patch model, latent model, noise schedules, checkpoints."""
