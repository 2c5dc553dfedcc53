"""Measures of images and clips, and the baselines that they are compared with."""
