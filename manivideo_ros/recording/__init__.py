"""Recordings: rosbag2 MCAP in and out, of serialized messages; nothing here needs rclpy."""
