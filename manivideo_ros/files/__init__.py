"""Untrusted files, read within limits of memory and time: images, YAML, npz, pickles, XML."""
