"""Training and test data: generated scenes, recordings, human video, and their shards."""
