"""Pose topics in, hand-object video out: ManiVideo's method, live over ROS 2."""

from pathlib import Path
from pkgutil import extend_path

# In a checkout the generated interfaces live in the installed twin of this package; where they
# lie beside this file, nothing may be merged in from elsewhere.
if not (Path(__file__).parent / 'msg').exists():
    __path__ = extend_path(__path__, __name__)

from manivideo_ros.process import moved

moved.install()
