"""Recorded episodes in, synthetic episodes out."""
