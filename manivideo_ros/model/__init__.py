"""The network of the paper: its configuration, its parts, its noise schedule, its checkpoints."""
