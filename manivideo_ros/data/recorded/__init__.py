"""Readers of published recordings of hands and objects: DexYCB, HO-Cap and ARCTIC as clips."""
