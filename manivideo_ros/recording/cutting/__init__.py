"""Recordings with several episodes: where they are cut, and the options of commands."""
