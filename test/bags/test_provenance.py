"""The provenance of recordings, from the diagnostics of the synthesizers in them."""

import json

from manivideo_ros.bags.provenance import Maker, status_name
from manivideo_ros.messages.names import DIAGNOSTICS
from manivideo_ros.messages.types import ROSBAGS, serialized

FRONT = {'noise_seed': '3', 'preset': 'tiny', 'backend': 'onnxruntime'}
SIDE = {**FRONT, 'backend': 'openvino'}


def diagnostics(namespace, values):
    pairs = [
        ROSBAGS.message('diagnostic_msgs/msg/KeyValue')(key=key, value=value)
        for key, value in values.items()
    ]
    status = ROSBAGS.message('diagnostic_msgs/msg/DiagnosticStatus')(
        level=0, name=status_name(namespace), message='', hardware_id='', values=pairs
    )
    array = ROSBAGS.message(DIAGNOSTICS)(header=ROSBAGS.header(0, ''), status=[status])
    return bytes(serialized(array))


def provenance(own, *reports):
    maker = Maker(own)
    for namespace, values in reports:
        maker.take(DIAGNOSTICS, diagnostics(namespace, values))
    return json.loads(maker.provenance or 'null')


def test_of_one_synthesizer_it_has_the_values():
    assert provenance('', ('/front', FRONT)) == {'synthetic': True, **FRONT}
    assert provenance('/front', ('/side', SIDE), ('/front', FRONT)) == {'synthetic': True, **FRONT}
    assert provenance('') is None


def test_of_several_cameras_it_has_what_they_share_and_what_differs():
    found = provenance('', ('/front', FRONT), ('/side', SIDE))
    assert found == {
        'synthetic': True,
        'noise_seed': '3',
        'preset': 'tiny',
        'synthesizers': {
            status_name('/front'): {'backend': 'onnxruntime'},
            status_name('/side'): {'backend': 'openvino'},
        },
    }
