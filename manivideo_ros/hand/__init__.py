"""The parametric hand: model files, linear blend skinning, skin textures, finger poses."""
