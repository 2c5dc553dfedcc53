"""Export to one graph, the session that runs it, its cache."""
