"""rosbag2 bags in MCAP storage, read, written and repaired without rclpy."""
