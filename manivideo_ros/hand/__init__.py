"""The parametric hand: model files, linear blend skinning, layers, skin, finger poses."""
