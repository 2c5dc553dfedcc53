"""The network as TensorRT plans: built beside the stream, cached, executed."""
