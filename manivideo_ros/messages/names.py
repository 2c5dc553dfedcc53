"""Names of the message types that are read and built here."""

HANDS, OBJECTS = 'manivideo_ros/msg/HandPoses', 'manivideo_ros/msg/ObjectPoses'
CAMERA, TF, STRING = 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage', 'std_msgs/msg/String'
IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
VIDEO = 'foxglove_msgs/msg/CompressedVideo'
PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'
FRAMES = (IMAGE, COMPRESSED, VIDEO, PACKET)
"""Types of which a message holds an image."""
POINTS = 'sensor_msgs/msg/PointCloud2'
JOINTS = 'sensor_msgs/msg/JointState'
PLANS = 'trajectory_msgs/msg/JointTrajectory', 'moveit_msgs/msg/DisplayTrajectory'
"""Planned motions of joints."""
DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
