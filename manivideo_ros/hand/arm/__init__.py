"""Arms: their mesh beside the hand, their bones, and where they lead without a given elbow."""
