"""The stream: pose intake, scene, engine exchange, and the publishers of frames and diagnostics."""
