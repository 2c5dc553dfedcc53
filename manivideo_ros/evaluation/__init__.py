"""Measures generated images against ground truth, and reports the results."""
