"""Files from elsewhere, read within bounds: images, YAML, npz, pickles, XML, package URIs."""
