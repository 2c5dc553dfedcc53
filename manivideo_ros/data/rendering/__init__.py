"""Renders ground-truth images under the light of a generated room."""
