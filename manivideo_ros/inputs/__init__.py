"""From what a source tracks to hand poses: one keypoint solver, a thin table per source."""
