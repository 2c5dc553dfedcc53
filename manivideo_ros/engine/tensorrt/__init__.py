"""The network as TensorRT plans: background builds, plan cache, execution."""
