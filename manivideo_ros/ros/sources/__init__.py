"""What drivers publish, as HandPoses and ObjectPoses: one intake per kind of source."""
