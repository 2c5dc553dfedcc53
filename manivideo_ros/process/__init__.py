"""This process and those that it starts: signals, folders, the worker thread, node processes."""
