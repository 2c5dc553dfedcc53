"""Human video with the skeletons that DWPose or OpenPose found in it."""
