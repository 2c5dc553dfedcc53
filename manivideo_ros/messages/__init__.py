"""ROS 2 messages to arrays and back, without rclpy: one reader and one builder of each type."""
