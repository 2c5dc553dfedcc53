"""Converts the messages of drivers to HandPoses and ObjectPoses: one intake per type of source."""
