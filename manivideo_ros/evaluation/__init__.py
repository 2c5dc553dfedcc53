"""Measures of generated images against rendered truth, and the reports made of them."""
