"""Messages as vectors: which numbers, by which names, and what makes them wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from state_bags import every, joints, numbers, record, states

from manivideo_ros.messages.types import ROSBAGS, typestore
from manivideo_ros.recording.columns import ColumnsError, series_of, table
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics
from manivideo_ros.recording.fields import vector

T = typestore().types


def a(kind, **fields):
    """A message with zeros in all other fields; kind: package/Name."""
    package, name = kind.split('/')
    kind = f'{package}/msg/{name}'
    made = {}
    for field, (node, inside) in typestore().fielddefs[kind][1]:
        made[field] = fields.get(field, default(node, inside))
    return T[kind](**made)


def default(node, inside):
    if int(node) == 2:  # a message's type
        return a(inside.replace('/msg/', '/'))
    if int(node) == 1:
        return '' if inside[0] == 'string' else 0
    count, (kind, name) = (inside[1] if int(node) == 3 else 0), inside[0]
    if int(kind) == 2 or name[0] == 'string':
        return []
    return np.zeros(count, name[0])


def pose(x=0.0, frame='base'):
    header = ROSBAGS.header(7, frame)
    return a('geometry_msgs/PoseStamped', header=header, pose=ROSBAGS.pose(shifted(x)))


def shifted(x):
    return np.array([[1, 0, 0, x], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def transform(child, x, parent='base'):
    return ROSBAGS.transform(ROSBAGS.header(7, parent), child, shifted(x))


def layout(label='joint', size=2):
    dim = a('std_msgs/MultiArrayDimension', label=label, size=size, stride=size)
    return a('std_msgs/MultiArrayLayout', dim=[dim], data_offset=0)


def test_the_layout_of_an_array_is_not_in_its_vector():
    message = numbers(1, 2)
    message.layout = layout()
    found = vector(message)
    assert found.names == ['data[0]', 'data[1]'] and found.values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ('message', 'names'),
    [
        (a('nav_msgs/Odometry'), 13),  # pose and twist, without covariances
        (a('sensor_msgs/Imu'), 10),
        (a('sensor_msgs/NavSatFix'), 5),  # status, service, latitude, longitude, altitude
        (a('sensor_msgs/BatteryState', header=ROSBAGS.header(7, 'base')), 11),
        (a('sensor_msgs/JointState', name=['a'], position=np.ones(1)), 1),
        (a('trajectory_msgs/JointTrajectoryPoint', positions=np.ones(3)), 3),
        (a('sensor_msgs/TimeReference'), 0),
    ],
)
def test_headers_times_and_covariances_are_left_out(message, names):
    assert len(vector(message).names) == names


def test_a_field_that_is_left_out_can_be_chosen():
    assert len(vector(a('nav_msgs/Odometry'), ['pose.covariance']).names) == 36
    stamped = vector(pose(), ['header.stamp', 'pose.position.x'])
    assert stamped.names == ['header.stamp.sec', 'header.stamp.nanosec', 'pose.position.x']


def test_elements_have_the_names_of_the_message():
    two = ['b', 'a']
    point = a('trajectory_msgs/JointTrajectoryPoint', positions=np.array([1.0, 2]))
    cases = {
        'position.b': a('sensor_msgs/JointState', name=two, position=np.array([1.0, 2])),
        'points[0].positions.b': a(
            'trajectory_msgs/JointTrajectory', joint_names=two, points=[point]
        ),
        # Two points of two joints are not a point per joint.
        'points[1].positions.b': a(
            'trajectory_msgs/JointTrajectory', joint_names=two, points=[point, point]
        ),
        'transforms.b.rotation.w': a(
            'sensor_msgs/MultiDOFJointState', joint_names=two,
            transforms=[a('geometry_msgs/Transform')] * 2,
        ),
        'transforms.b.transform.translation.x': a(
            'tf2_msgs/TFMessage', transforms=[transform('b', 1.0), transform('a', 2.0)]
        ),
        'objects.b.pose.position.x': ROSBAGS.objects(
            ROSBAGS.header(0, 'w'), {'b': shifted(1), 'a': shifted(2)}
        ),
        'data[0]': numbers(1, 2),
    }  # fmt: skip
    for name, message in cases.items():
        found = vector(message)
        assert name in found.names, name
        named = not any('[' in each for each in found.names)
        assert found.named == named == ('[' not in name)


def test_transforms_in_another_order_stay_in_their_columns(tmp_path):
    pair = [transform('left', 1.0), transform('right', 2.0)]
    sent = [
        (t, a('tf2_msgs/TFMessage', transforms=pair[:: 1 if n % 2 else -1]))
        for n, t in enumerate(every(0.02))
    ]
    folder = record(tmp_path / 'bag', {'/tf': sent})
    _, state = states(folder, '/tf:transforms.left')
    assert state.names[0] == 'transforms.left.transform.translation.x'
    assert np.all(state.values[:, 0] == 1)


def test_images_and_point_clouds_are_no_states():
    with pytest.raises(ValueError, match=r'sensor_msgs/msg/PointCloud2 is no vector'):
        vector(a('sensor_msgs/PointCloud2'))
    with pytest.raises(ColumnsError, match=r'at 0\.000 s: sensor_msgs/msg/Image is no vector'):
        series_of([(a('sensor_msgs/Image'), 0)])


def test_chosen_fields_are_the_state(tmp_path):
    arm = [(t, joints(0, [5, 6], a=t, b=-t)) for t in every(0.02)]
    # A publisher without velocities, as a gripper's, adds none.
    gripper = [(t, joints(0, jaw=0.5)) for t in every(0.02, 0.005)]
    folder = record(tmp_path / 'bag', {'/arm': arm + gripper, '/pose': [(0.0, pose(0.25))]})
    assert states(folder, '/arm:position')[1].names == ('position.a', 'position.b', 'position.jaw')
    assert states(folder, '/arm:velocity')[1].names == ('velocity.a', 'velocity.b')
    one = states(folder, '/arm:position.b,velocity.a')[1]
    assert one.names == ('position.b', 'velocity.a') and np.all(one.values[:, 1] == 5)
    with pytest.raises(
        EpisodeError, match=r'/arm: .*the field effort: its fields are position, velocity'
    ):
        states(folder, '/arm:effort')
    topics = Topics(state=('/arm:position.a', '/arm:velocity.a', '/pose:pose.position'), hold_s=9)
    names = Episode(folder, topics).state.names
    assert names[:3] == ('arm.position.a', 'arm.velocity.a', 'pose.pose.position.x')
    with pytest.raises(EpisodeError, match=r'position\.a is named twice'):
        _ = Episode(folder, Topics(state=('/arm', '/arm:position'))).state


@pytest.mark.parametrize('wrong', [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_an_error_with_topic_field_and_time(tmp_path, wrong):
    sent = [(t, joints(0, [wrong] if t > 0.99 else [1.0], a=t)) for t in every(0.02)]
    folder = record(tmp_path / 'bag', {'/arm': sent})
    with pytest.raises(
        EpisodeError, match=rf'topic /arm, velocity\.a, at 1\.000 s: is {wrong}: .*FIELD'
    ):
        states(folder, '/arm')
    assert np.isfinite(states(folder, '/arm:position')[1].values).all()


def test_a_joint_that_vanishes_is_an_error_however_long_values_are_held():
    both = [(joints(0, a=t, b=t), round(t * 1e9)) for t in every(0.02, 0.0, 1.0)]
    one = [(joints(0, a=t), round(t * 1e9)) for t in every(0.02, 1.01)]
    frames = np.arange(0, 2_000_000_000, 33_000_000)
    with pytest.raises(ColumnsError, match=r', position\.b, at 1\.010 s: is not in the messages'):
        table(series_of(both + one), frames, float('inf'), True)
    # A publisher of its own that ends before is held, if asked for.
    other = [(joints(0, b=t), round(t * 1e9)) for t in every(0.02, 0.0, 1.0)]
    ends = sorted(other + [(joints(0, a=t), round(t * 1e9)) for t in every(0.02, 0.0)],
                  key=lambda pair: pair[1])  # fmt: skip
    assert table(series_of(ends), frames, float('inf'), False)[0][-1, 0] == 1.0


def test_two_publishers_of_the_same_numbers_are_an_error_with_field_and_time():
    frames = np.arange(0, 2_000_000_000, 33_000_000)
    one = [(numbers(np.sin(t), 1), round(t * 1e9)) for t in every(0.02, 0.0)]
    two = [(numbers(5 + np.cos(t), 1), round(t * 1e9)) for t in every(0.02, 0.007)]
    with pytest.raises(ColumnsError, match=r', data\[0\], at 0\.0.. s: alternates .*publishers'):
        table(series_of(sorted(one + two, key=lambda m: m[1])), frames, None, False)
    assert len(table(series_of(one), frames, None, False)[0]) == len(frames)
    named = [(joints(0, a=t), round(t * 1e9)) for t in every(0.02, 0.0)]
    named += [(joints(0, a=9.0, b=t), round(t * 1e9)) for t in every(0.02, 0.007)]
    with pytest.raises(ColumnsError, match=r', position\.a, .*alternates'):
        table(series_of(sorted(named, key=lambda m: m[1])), frames, None, False)


@pytest.mark.parametrize('seed', range(3))
def test_noise_and_commands_that_alternate_are_not_two_publishers(seed):
    rng = np.random.default_rng(seed)
    times = (np.arange(200) * 1e7).astype(np.int64)
    frames = times[::5]
    open_and_closed = [0.08 * (k % 2) for k in range(200)]
    slow = np.arange(200) * 300_000_000
    noisy = rng.normal(0, 1, 200).cumsum() * 0.01 + rng.normal(0, 0.1, 200)
    steps = np.round(noisy * 20) / 20  # of an encoder
    for values, at in ((noisy, times), (steps, times), (open_and_closed, slow)):
        messages = [(numbers(v), int(t)) for v, t in zip(values, at, strict=True)]
        table(series_of(messages), frames, float('inf'), False)
    beats = [(a('std_msgs/Bool', data=bool(k % 2)), int(t)) for k, t in enumerate(times)]
    table(series_of(beats), frames, None, False)


def test_poses_of_one_topic_in_two_frames_are_an_error():
    sent = [(pose(t, 'base' if t < 1 else 'camera'), round(t * 1e9)) for t in every(0.02, 0.0)]
    with pytest.raises(
        ColumnsError, match=r", header\.frame_id, at 1\.0.. s: is 'camera' where it was 'base'"
    ):
        series_of(sent)


def test_topics_can_be_held_one_by_one(tmp_path, capsys):
    arm = [(t, joints(0, a=t)) for t in every(0.02)]
    gripper = [(0.0, joints(0, jaw=1)), (0.1, joints(0, jaw=2)), (0.2, joints(0, jaw=3))]
    folder = record(tmp_path / 'bag', {'/arm': arm, '/gripper': gripper})

    def export(out, *hold):
        both = ['--state', '/arm', '/gripper', '--action', '/arm']
        return dataset(['robomimic', str(folder), '--out', str(tmp_path / out), *both, *hold])

    pytest.importorskip('h5py')
    assert export('a') == 2
    assert 'give --hold TOPIC' in capsys.readouterr().err
    assert export('b', '--hold', '/gripper') == 0
    meta = json.loads((tmp_path / 'b' / 'meta' / 'provenance.json').read_text())
    assert meta['episodes'][0]['held'].keys() == {'/gripper'}
    assert export('c', '--hold', '/gripper=1') == 2
    assert 'within 1000 ms' in capsys.readouterr().err
    assert export('d', '--hold', '/other') == 2
    assert '/other: is no topic of --state, --action' in capsys.readouterr().err
    assert export('e', '--hold', 'gripper') == 2
    assert '--hold gripper: give seconds, or topics with their /' in capsys.readouterr().err
