"""A pose intake, empty and with a camera, for the tests of what receives poses."""

import pytest
from intakes import info, placed

from manivideo_ros.motion.pose_buffer import Timing
from manivideo_ros.ros.stream.pose_intake import PoseIntake


@pytest.fixture
def intake():
    return PoseIntake({'mug'}, 'default', (256, 256), Timing())


@pytest.fixture
def ready(intake):
    assert intake.take_transforms(placed()) == []
    assert intake.take_camera(info()) == []
    return intake
