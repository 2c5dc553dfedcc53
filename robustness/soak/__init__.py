"""Long runs of the nodes, and their recovery from faults."""
