"""Multi-Layer Occlusion: every part of hands and object rendered alone, and what hides what."""
