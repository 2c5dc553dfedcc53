"""Multi-Layer Occlusion: renders each part of hands and objects alone, and their occlusion."""
