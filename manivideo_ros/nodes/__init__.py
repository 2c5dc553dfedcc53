"""The nodes: each converts messages, calls the core and publishes."""
