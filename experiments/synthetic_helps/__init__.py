"""The parts of the proof: clips, crops of hands, the estimator, its runs, gains, images."""
