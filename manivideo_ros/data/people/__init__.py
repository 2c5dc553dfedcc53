"""People in generated scenes: clothed bodies, their arms and their skeletons."""
