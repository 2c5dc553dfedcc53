"""What a frame has around its hands: what the network cannot honour is reported."""

from types import SimpleNamespace

from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream.surroundings import NOTHING, SurroundingsIntake


def test_a_network_without_a_base_image_reports_what_it_cannot_honour():
    parameters = NodeParameters(region='action', support_plane=(0.0, 0.0, 1.0, 0.0))
    intake = SurroundingsIntake(None, parameters, None, None)
    around, problems = intake.around(None, (640, 480), SimpleNamespace(corrects=False))
    assert around is NOTHING
    assert [text.partition(':')[0] for text in problems] == ['support_plane', 'region']
    assert all('no base image' in text for text in problems)
