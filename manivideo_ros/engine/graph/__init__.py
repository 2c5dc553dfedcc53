"""The network as one static ONNX graph: export, file cache, int8 quantization, runners."""
