"""The authored motions that ship: grasps, keyframes, contact, and their checks."""
