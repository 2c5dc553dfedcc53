"""Motion of hands and objects: files, authored sequences, conversion of recordings."""
