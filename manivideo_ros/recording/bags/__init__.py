"""rosbag2 bags in MCAP, read, written and repaired without rclpy."""
