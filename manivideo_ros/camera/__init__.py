"""What a camera sees: the view that fits the network, lenses, virtual cameras, backgrounds."""
