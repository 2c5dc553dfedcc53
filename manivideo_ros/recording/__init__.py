"""Recorded episodes, and data sets of them: LeRobot, robomimic, COCO, columns of numbers, video."""
