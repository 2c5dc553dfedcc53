"""Long runs of the chain of nodes, and the faults that robots meet: figures of both."""
