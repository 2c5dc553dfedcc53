"""Robots from their URDFs: kinematics, meshes and layers, without ROS."""
