"""Human video with skeletons from DWPose or OpenPose."""
