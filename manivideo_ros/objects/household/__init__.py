"""Generated household objects by name."""
