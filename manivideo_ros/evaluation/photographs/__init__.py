"""Recorded images as ground truth: of one recording, and what is fitted to its images."""
