"""Generated scenes to learn from: the truth, its labels and its references."""
