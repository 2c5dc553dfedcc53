"""Writes results as tables, JSON and contact sheets."""
