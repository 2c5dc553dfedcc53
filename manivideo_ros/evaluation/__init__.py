"""Measures of generated pictures against rendered truth, and the reports made of them."""
