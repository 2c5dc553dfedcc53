"""The parts of the ablation: inputs, networks of the rows, their training, measures and tables."""
