"""What the launch files share: nodes, arguments and Foxglove layouts."""
