"""Engines: specifications, the backends that run the network, and the session of a stream."""
