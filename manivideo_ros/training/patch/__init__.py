"""Training of the patch model and its light estimator."""
