"""Training of the network over pixel patches, and of its light estimator."""
