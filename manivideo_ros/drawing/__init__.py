"""The conditions of a frame, drawn: base image, horizons, object views, skeletons, labels."""
