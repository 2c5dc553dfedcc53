"""Tracked joints of many sources to hand poses: one table per source, one keypoint solver."""
