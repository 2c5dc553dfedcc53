"""Does augmentation help a robot's policy: a simulated gripper, demonstrations, rollouts."""
