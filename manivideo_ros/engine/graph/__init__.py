"""The network as one static ONNX graph: export, cache, int8, and its runners."""
