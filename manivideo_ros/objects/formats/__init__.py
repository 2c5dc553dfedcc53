"""Mesh files as triangles with one material each: glTF, OBJ, COLLADA, PLY, STL, OFF."""
