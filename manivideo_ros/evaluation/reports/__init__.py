"""Results as tables, JSON and contact sheets."""
