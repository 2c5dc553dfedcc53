"""Variations of LeRobot datasets."""
