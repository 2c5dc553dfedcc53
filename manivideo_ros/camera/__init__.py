"""Cameras: views that fit the network, lens distortion, virtual cameras, backgrounds."""
