"""The stream: pose intake, scene, engine loading, publishers of frames and diagnostics."""
