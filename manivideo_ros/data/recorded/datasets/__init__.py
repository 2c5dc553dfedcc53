"""One reader per published dataset: DexYCB, HO-Cap, ARCTIC."""
