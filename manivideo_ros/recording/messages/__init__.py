"""Messages of recordings on the rosbags typestore, read and built without rclpy."""
