"""Robots that take the place of people's hands in training scenes."""
