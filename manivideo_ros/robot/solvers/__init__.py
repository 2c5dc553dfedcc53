"""Solvers of retargeting: joints and root of a robot for places of points on its links."""
