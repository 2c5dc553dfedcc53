"""The patch model (preset `tiny`), which runs live on a CPU."""
