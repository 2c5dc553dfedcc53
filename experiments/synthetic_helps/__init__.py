"""Does synthetic data help: clips, hand crops, the estimator, its runs, gains, images."""
