"""The shipped motions: grasps, keyframes, contact, and their checks."""
