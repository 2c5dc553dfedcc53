"""Measures of speed, compared with alternatives; results/ holds the newest."""
