"""Episodes as datasets: LeRobot, robomimic, image folders, video."""
