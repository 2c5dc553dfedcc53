"""Objaverse objects on random trajectories: textured objects without hands."""
