"""Bags with several episodes: where they are cut, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from evaluation_samples import short_motion
from motion_messages import hands_message, objects_message

from manivideo_ros.augment.source import GapError, Source
from manivideo_ros.bags.bag import BagReader, BagWriter
from manivideo_ros.bags.part import Part, open_part
from manivideo_ros.commands.episodes import main as episodes
from manivideo_ros.messages.types import ROSBAGS, typestore
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.recording.cutting.cuts import markers, parts_of
from manivideo_ros.recording.dataset import main as dataset
from manivideo_ros.recording.episode import Episode, EpisodeError, Topics

FRAMES, PERIOD = 30, 33_333_333
START = int(short_motion(1).stamps_ns[0])
SCENE = '{"objects": [{"id": "thing", "mesh": "jar"}]}'


def three_episodes() -> Motion:
    """30 frames: the object starts again, half a metre back, in frames 10 and 20."""
    motion = short_motion(FRAMES)
    poses = motion.objects['thing'].poses.copy()
    poses[:, 0, 3] = 0.05 * (np.arange(FRAMES) % 10)
    return replace(motion, objects={'thing': replace(motion.objects['thing'], poses=poses)})


def std(name, **fields):
    kind = f'std_msgs/msg/{name}'
    return typestore().types[kind](**fields)


def bag_of(folder: Path, events=(), motion=None, frames=range(FRAMES), images=True) -> Path:
    """Poses and images of frames, and (frame, topic, message) just before that frame."""
    motion = three_episodes() if motion is None else motion
    written = [(-1, '/scene', std('String', data=SCENE))]
    for k in frames:
        header = ROSBAGS.header(int(motion.stamps_ns[k]), 'camera')
        written += [(k, '/hand_poses', hands_message(motion, k)),
                    (k, '/object_poses', objects_message(motion, k))]  # fmt: skip
        if images:
            image = ROSBAGS.image(header, np.full((16, 16, 3), k, np.uint8))
            written.append((k, '/image_raw', image))
    written += [(k - 0.3, topic, message) for k, topic, message in events]
    with BagWriter(folder) as bag:
        for topic, message in {topic: message for _, topic, message in written}.items():
            bag.add_topic(topic, message.__msgtype__, latched=topic == '/scene')
        for k, topic, message in sorted(written, key=lambda item: item[0]):
            data = typestore().serialize_cdr(message, message.__msgtype__)
            bag.write(topic, data, START + round(k * PERIOD))
    return folder


def lengths(parts):
    return [len(load_motion(part, camera=None)) for part in parts.kept]


NAMED = [(k, '/episode', std('Int32', data=n)) for n, k in enumerate((0, 10, 20))]


def texts(by_frame):
    return [(k, '/episode', std('String', data=text)) for k, text in by_frame.items()]


@pytest.mark.parametrize(
    ('events', 'expected'),
    [
        (NAMED, [10, 10, 10]),
        # Published again and again, and changed.
        ([(k, '/episode', std('Int32', data=k // 10)) for k in range(30)], [10, 10, 10]),
        # A button between episodes.
        ([(k, '/episode', std('Empty', structure_needs_at_least_one_member=0)) for k in (10, 20)],
         [10, 10, 10]),
        # Text that names the episodes; what is before the first is none.
        (texts({5: 'cup', 20: 'jar'}), [15, 10]),
        (texts({2: 'Start cup', 9: 'stop', 12: 'start', 28: 'done'}), [7, 16]),
        # Whether an episode is being recorded.
        ([(k, '/episode', std('Bool', data=k % 10 >= 3)) for k in range(30)], [7, 7, 7]),
    ],
)  # fmt: skip
def test_a_bag_is_cut_at_the_markers_of_a_topic(tmp_path, events, expected):
    folder = bag_of(tmp_path / 'bag', events)
    found = parts_of(folder, ['/episode'])
    assert lengths(found) == expected
    assert [part.name for part in found.kept] == [f'bag_part{n}' for n in range(len(expected))]
    left = sum(expected) < FRAMES
    assert any('outside of /episode' in line for line in found.left_out) == left
    with pytest.raises(GapError, match=r'thing is 0\.45 m away'):
        Source(folder)


def test_pulses_of_one_value_are_markers_and_a_value_sent_again_is_none():
    """Times in ms; all of them true."""

    class Reader:
        path, topics = Path('bag'), {'/start': 'std_msgs/msg/Bool'}

        def __init__(self, times):
            self.times, self.connections = times, {}

        def messages(self, topics):
            data = typestore().serialize_cdr(std('Bool', data=True), 'std_msgs/msg/Bool')
            for ms in self.times:
                yield type('Record', (), {'stamp_ns': ms * 10**6, 'data': bytes(data),
                                          'type_name': 'std_msgs/msg/Bool'})  # fmt: skip

    assert [c.at_ns // 10**6 for c in markers(Reader([0, 5000, 9000]), '/start')[0]] == [
        0,
        5000,
        9000,
    ]
    assert [c.at_ns for c in markers(Reader(range(0, 9000, 100)), '/start')[0]] == [0]


def test_a_bag_is_cut_at_gaps_and_jumps(tmp_path):
    folder = bag_of(tmp_path / 'bag', frames=[k for k in range(FRAMES) if k not in (14, 15, 16)])
    gaps = parts_of(folder, ['gaps'])
    assert lengths(gaps) == [14, 13]
    assert gaps.kept[1].reason == 'after a gap of 0.13 s'
    jumps = parts_of(folder, ['jumps'])
    assert lengths(jumps) == [10, 7, 10]
    assert jumps.kept[1].reason == 'thing is 0.45 m away'
    both = parts_of(folder, ['gaps', 'jumps'])
    assert lengths(both) == [10, 4, 3, 10]
    for part in both.kept:
        Source(part)
    assert lengths(parts_of(bag_of(tmp_path / 'even', motion=short_motion(FRAMES)), ['gaps'])) == [
        30
    ]


def test_a_bag_with_a_topic_that_is_named_as_a_marker_is_cut_or_refused(tmp_path):
    folder = bag_of(tmp_path / 'bag', NAMED, motion=short_motion(FRAMES))
    with pytest.raises(
        ValueError, match=r'/episode marks 3 episodes: give --split-on /episode, or'
    ):
        parts_of(folder)
    assert parts_of(folder, ['none']).kept == [Part(folder)]
    once = bag_of(tmp_path / 'once', NAMED[:1])
    assert parts_of(once).kept == [Part(once)]


def test_a_part_is_a_bag_with_what_was_latched_before_it(tmp_path):
    folder = bag_of(tmp_path / 'bag', NAMED)
    part = parts_of(folder, ['/episode']).kept[1]
    reader = open_part(part)
    assert next(reader.messages(['/scene'])).stamp_ns == part.start_ns
    received = [m.stamp_ns for m in reader.messages()]
    assert received == sorted(received) and part.start_ns <= received[-1] < part.end_ns
    assert load_motion(part, camera=None).meshes == {'thing': ('jar', 1.0)}
    assert str(part) == f'{folder}, part 1'


def test_start_and_end_are_seconds_from_the_beginning(tmp_path):
    folder = bag_of(tmp_path / 'bag')
    found = parts_of(folder, start_s=0.35, end_s=0.68)
    assert lengths(found) == [10] and found.kept[0].name == 'bag'
    assert parts_of(folder).kept == [Part(folder)]
    with pytest.raises(ValueError, match='--end 1 must be after --start 2'):
        parts_of(folder, start_s=2, end_s=1)
    with pytest.raises(
        ValueError, match=r'no episode is left: .* 9\.00 s to the end: fewer than 2'
    ):
        parts_of(folder, start_s=9)


def test_a_topic_that_marks_nothing_is_an_error(tmp_path):
    folder = bag_of(tmp_path / 'bag', [(3, '/stop', std('Bool', data=False))])
    with pytest.raises(ValueError, match=r'/episode: no such topic: it has .*/stop; or give gaps'):
        parts_of(folder, ['/episode'])
    with pytest.raises(ValueError, match='/stop: its messages begin no episode'):
        parts_of(folder, ['/stop'])


def test_cuts_are_proposed(tmp_path, capsys):
    folder = bag_of(tmp_path / 'bag', NAMED, frames=[k for k in range(FRAMES) if k not in (14, 15)])
    assert episodes([str(folder)]) == 0
    output = capsys.readouterr().out
    assert f'{folder}: 1.00 s, 28 messages (/hand_poses)' in output
    for line in (
        '--split-on /episode: 3 episodes',
        '--split-on gaps: 2 episodes',
        '--split-on jumps: 3 episodes',
        'bag_part1: 0.36 s to 0.69 s, 8 messages (/episode: 1)',
    ):
        assert line in output
    assert episodes([str(bag_of(tmp_path / 'one', motion=short_motion(FRAMES)))]) == 0
    assert 'one episode: no markers, gaps or jumps' in capsys.readouterr().out
    assert episodes([str(tmp_path / 'none')]) == 2


def export(folder, out, *options):
    return dataset(['robomimic', str(folder), '--out', str(out), '--state', '/n', '--action', '/n',
                    *options])  # fmt: skip


def test_a_dataset_has_the_episodes_of_a_bag_and_lists_what_it_skips(tmp_path, capsys):
    h5py = pytest.importorskip('h5py')
    numbers = [
        (k + 0.2, '/n', std('Float64', data=0.01 * k if k != 25 else np.nan)) for k in range(30)
    ]
    folder = bag_of(tmp_path / 'bags' / 'bag', [*NAMED, *numbers])
    split = ('--split-on', '/episode')
    assert export(folder, tmp_path / 'bad', *split) == 2
    assert 'bag, part 2: topic /n, data, at 0.1' in capsys.readouterr().err
    assert export(tmp_path / 'bags', tmp_path / 'set', *split, '--skip-bad') == 0
    output = capsys.readouterr().out
    assert 'left out (1):' in output and 'part 2: topic /n, data' in output
    assert '2 episodes, 20 frames' in output
    with h5py.File(tmp_path / 'set' / 'demos.hdf5') as file:
        assert [len(file[f'data/demo_{n}/actions']) for n in (0, 1)] == [10, 10]
        assert file['data/demo_1/obs/camera_image'][0, 0, 0, 0] == 10
    meta = json.loads((tmp_path / 'set' / 'meta' / 'provenance.json').read_text())['episodes']
    assert [entry['episode'] for entry in meta] == ['bag_part0', 'bag_part1']
    assert meta[1]['part']['reason'] == '/episode: 1'
    nothing = (*split, '--skip-bad', '--start', '0.7')
    assert export(folder, tmp_path / 'none', *nothing) == 2
    assert 'no episode can be used' in capsys.readouterr().err


def test_images_are_reduced_to_a_rate_and_gaps_in_them_are_refused(tmp_path):
    folder = bag_of(tmp_path / 'bag', motion=short_motion(FRAMES))
    found = Episode(folder, Topics(rate_hz=10))
    assert [image[0, 0, 0] for image in found.images()] == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27]
    assert found.remarks == ['10 frames of 30 images, at 10 Hz: those nearest in time']
    assert found.rate_hz == pytest.approx(10, rel=1e-3)
    with pytest.raises(EpisodeError, match=r'--rate 60: recorded at 30\.0 Hz'):
        Episode(folder, Topics(rate_hz=60))
    holes = bag_of(tmp_path / 'holes', frames=[k for k in range(FRAMES) if not 5 < k < 25])
    with pytest.raises(EpisodeError, match=r'at 0\.167 s: no image for 0\.67 s: cut .*--max-gap'):
        Episode(holes).check_gaps()
    allowed = Episode(holes, Topics(max_gap_s=1))
    allowed.check_gaps()
    assert 'images are missing in 1 places, the longest for 667 ms' in allowed.remarks[0]
    assert BagReader(holes).topics['/image_raw']
