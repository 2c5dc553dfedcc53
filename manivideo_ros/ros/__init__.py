"""What the nodes share: parameters, QoS, transforms, sources, the stream, launch files."""
