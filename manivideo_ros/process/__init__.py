"""Processes: signals, folders, stderr, the worker thread, node processes."""
