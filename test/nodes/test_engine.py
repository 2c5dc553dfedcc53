"""The engine of a running stream, over DDS: what serves, how fast, and how it is exchanged."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from labs import READY_S, lab_in, running
from manivideo_ros.msg import FrameTimes
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from manivideo_ros.engine.spec import ON_CPU
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import NodeError, environment, free_domain
from manivideo_ros.ros import qos

ENGINES = Path(__file__).parents[2] / 'engines'


@pytest.fixture(scope='module')
def domain():
    return free_domain(int(os.environ['ROS_DOMAIN_ID']) + 2)


@pytest.fixture(scope='module')
def engines(tmp_path_factory):
    """A folder that changes of the engine may name files in."""
    return tmp_path_factory.mktemp('engines')


@pytest.fixture(scope='module')
def synthesizer(shipped, images, domain, engines):
    parameters = {'checkpoint': str(shipped), 'scene_folders': [str(engines)], **images}
    with running('synthesizer_node', parameters, environment(domain)) as process:
        process.wait_for('active', READY_S)
        yield process


@pytest.fixture
def lab(motion, domain):
    with lab_in(domain, motion) as node:
        node.listen(Image, 'image_raw')
        yield node


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {v.key: v.value for v in status.values}


def change(lab, **values):
    request = SetParameters.Request(
        parameters=[Parameter(name, value=v).to_parameter_msg() for name, v in values.items()]
    )
    return lab.call(SetParameters, 'synthesizer/set_parameters', request).results[0]


def listen_latched(lab, kind, topic, profile):
    lab.got[topic] = []
    lab.create_subscription(kind, topic, lab.got[topic].append, profile)
    return lab.got[topic]


def test_late_subscribers_receive_the_engine_status(synthesizer, lab):
    received = listen_latched(lab, DiagnosticStatus, 'engine_status', qos.STATE)
    lab.spin(10, lambda: received)
    values = values_of(received[0])
    assert (
        received[0].level == DiagnosticStatus.OK
        and received[0].message == f'running on {ON_CPU[0]}'
    )
    assert values['backend'] == ON_CPU[0]
    assert 'not tensorrt: ' in values['engine'] and 'not torch_cuda: ' in values['engine']


def test_frame_times_are_in_the_order_of_the_stages(synthesizer, lab):
    received = listen_latched(lab, FrameTimes, 'frame_times', qos_profile_sensor_data)
    lab.play(20, lambda: len(received) >= 5)
    for times in received:
        stages = [
            times.header.stamp, times.received, times.sampled, times.rendered, times.denoised,
            times.decoded, times.published,
        ]  # fmt: skip
        at = [stage.sec * 10**9 + stage.nanosec for stage in stages]
        assert at == sorted(at) and at[0] in lab.sent
    images = {stamp_ns(m.header) for m in lab.got['image_raw']}
    assert {stamp_ns(times.header) for times in received} & images


@pytest.mark.long
def test_the_steps_change_at_run_time(synthesizer, lab, engines):
    two = engines / 'two_steps.yaml'
    two.write_text(
        yaml.safe_dump({**yaml.safe_load((ENGINES / 'tiny_torch.yaml').read_text()), 'steps': 2})
    )
    lab.listen(DiagnosticArray, '/diagnostics')

    def steps():
        reports = [m.status[0] for m in lab.got['/diagnostics'] if m.status]
        return values_of(reports[-1])['steps'] if reports else ''

    lab.play(20, lambda: lab.got['image_raw'] and steps() == '1')
    assert change(lab, engine=str(two)).successful
    lab.play(READY_S, lambda: steps() == '2')
    assert steps() == '2'
    before = len(lab.got['image_raw'])
    lab.play(20, lambda: len(lab.got['image_raw']) >= before + 3)
    stamps = [stamp_ns(m.header) for m in lab.got['image_raw']]
    pauses = np.diff([s * 1e-9 for s in stamps])
    assert stamps == sorted(set(stamps))
    assert pauses.max() < 5, 'the stream continues while the next engine is loaded'
    assert change(lab, engine='tiny').successful
    lab.play(READY_S, lambda: steps() == '1')
    assert steps() == '1'


def test_an_unusable_engine_is_refused_and_the_stream_continues(
    synthesizer, lab, shipped, tmp_path
):
    answer = change(lab, engine='no_such_engine')
    assert not answer.successful and "'no_such_engine': is none of base_cuda, " in answer.reason
    beside = shipped.with_name('such.safetensors')
    answer = change(lab, checkpoint=str(beside))
    assert not answer.successful and f'{beside} does not exist' in answer.reason
    if shutil.which('nvidia-smi') is None:
        answer = change(lab, engine='tiny_tensorrt')
        assert not answer.successful
        assert (
            'engine tiny_tensorrt: none of its backends runs on this machine: tensorrt'
            in answer.reason
        )
    for elsewhere in ({'checkpoint': '/etc/passwd'}, {'engine': str(tmp_path / 'tiny.yaml')}):
        answer = change(lab, **elsewhere)
        assert not answer.successful and 'scene_folders' in answer.reason
    lab.play(20, lambda: len(lab.got['image_raw']) >= 3)
    assert len(lab.got['image_raw']) >= 3


def test_the_rate_limit_is_kept(synthesizer, lab):
    assert change(lab, target_rate=4.0).successful
    lab.play(1)
    lab.got['image_raw'].clear()
    lab.play(5)
    assert 15 <= len(lab.got['image_raw']) <= 22
    assert change(lab, target_rate=0.0).successful


def test_a_missing_required_backend_prevents_the_start(shipped, images, domain):
    parameters = {
        'checkpoint': str(shipped),
        'engine': 'tiny_tensorrt',
        'require_backend': True,
        **images,
    }
    with (
        pytest.raises(NodeError, match=r'tensorrt_rtx is required: .*(pip install|CUDA)'),
        running('synthesizer_node', parameters, environment(free_domain(domain + 1))) as process,
    ):
        process.wait_for('active', READY_S)
