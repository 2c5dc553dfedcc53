"""The page in the browser: what it shows, and the server that hands it out. Knows no ROS."""
