"""What is measured of images and clips, and the baselines beside them."""
