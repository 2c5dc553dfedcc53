"""Measurements beside alternatives; results/ holds the newest."""
