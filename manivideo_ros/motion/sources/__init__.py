"""Hands from the messages of drivers, live and recorded."""
