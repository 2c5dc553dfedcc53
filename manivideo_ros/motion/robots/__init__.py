"""Robots in recordings and motions: by their joint states, or by the hands that they follow."""
