"""LeRobot datasets: written, read, checked, and as bags."""
