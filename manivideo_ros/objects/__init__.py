"""Object meshes: loaded from files or generated, with texture and surface samples."""
