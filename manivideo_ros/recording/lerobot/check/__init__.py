"""What is wrong with a LeRobot dataset."""
