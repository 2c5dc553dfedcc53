"""The parts of the proof: real-style clips, synthetic ones of them, crops, the estimator, figures."""
