"""Renders the conditions of a frame: base image, horizons, object views, skeletons, labels."""
