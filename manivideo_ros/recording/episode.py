"""An episode as training data: frames, each with its state, action and stamp.

Frames are those of one image topic; of a video, those from its first key frame on. Values are not
resampled: each is of the message received nearest to its frame, or the last before it if the topic
is slower (columns.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.definitions import typestore_of
from manivideo_ros.bags.part import Bag, durabilities, is_latched, part_of
from manivideo_ros.bags.provenance import provenance_of
from manivideo_ros.geometry import matrix_to_quaternion
from manivideo_ros.hand.state import SIDES, HandState
from manivideo_ros.messages.images import depth_image, read_image, read_keypoints
from manivideo_ros.messages.names import CAMERA, FRAMES, HANDS, OBJECTS, TF
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.messages.types import decoded
from manivideo_ros.motion.continuity import at_rate, gaps, period_of
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.sources.recorded_hands import open_bag
from manivideo_ros.recording.columns import (
    ColumnsError,
    Held,
    series_of,
    table,
)
from manivideo_ros.recording.image_stream import (
    BACKGROUND,
    DEPTH,
    MASK,
    EpisodeError,
    ImageStream,
)

LOGGER = logging.getLogger(__name__)
Read = TypeVar('Read')
IMAGES, NEXT_STATE = '/image_raw', 'next-state'
LONGEST_GAP_S = 0.5
KEYPOINTS = '/hand_keypoints'
"""Topics of labels, in the namespace of the images."""
FINGERS = [f'{f}{j}.{axis}' for f in ('index', 'middle', 'pinky', 'ring', 'thumb')
           for j in (1, 2, 3) for axis in 'xyz']  # fmt: skip
POSE = ('x', 'y', 'z', 'qx', 'qy', 'qz', 'qw')


@dataclass(frozen=True)
class Topics:
    """Topics of images, state (none: the poses of hands and objects) and action.

    action: or NEXT_STATE, the state of the next frame. cameras, depths: of further images, by key;
    features: of further numbers, by name, written as those of the state. tasks: of String messages.
    images: or the name that image_transport appends `/foxglove`, `/ffmpeg` or `/compressed` to.
    state, action: topics, or TOPIC:FIELD,FIELD for some fields of one, as `/arm:position`.
    hold_s: how long the last value of a state or action is held; None: three of the topic's
    periods, or 50 ms for a fast topic. held: topics, or TOPIC=SECONDS, whose last value is held
    without limit, or for so long. rate_hz: of the frames, those nearest in time; None: all.
    max_gap_s: longest time without a frame; None: five periods, at least LONGEST_GAP_S.
    hands: what hands are read from in a bag without HandPoses (motion/sources/hand_option.py).
    Raises ValueError for seconds that are not above 0.
    """

    images: str = IMAGES
    state: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    hold_s: float | None = None
    held: tuple[str, ...] = ()
    rate_hz: float | None = None
    max_gap_s: float | None = None
    hands: str = ''
    cameras: tuple[tuple[str, str], ...] = ()
    depths: tuple[tuple[str, str], ...] = ()
    features: tuple[tuple[str, tuple[str, ...]], ...] = ()
    tasks: str = ''

    def __post_init__(self) -> None:
        for seconds in (self.hold_s, *self._own.values()):
            if seconds is not None and not seconds > 0:
                raise ValueError(f'--hold must be above 0 seconds, is {seconds}')
        others = (each for _, named in self.features for each in named)
        asked = {each.partition(':')[0] for each in (*self.state, *self.action, *others)}
        for topic in self._own:
            if topic not in asked:
                raise ValueError(f'--hold {topic}: is no topic of --state, --action or --feature')

    def hold_of(self, topic: str) -> float | None:
        """How long the last value of a topic is held, seconds."""
        return self._own.get(topic, self.hold_s)

    @property
    def _own(self) -> dict[str, float]:
        pairs = [each.partition('=') for each in self.held]
        return {topic: float(seconds or 'inf') for topic, _, seconds in pairs}


@dataclass(frozen=True, eq=False)
class Table:
    """Values [F, N] of F frames and the names of the N columns."""

    values: NDArray
    names: tuple[str, ...]

    def ordered(self, names: Sequence[str]) -> Table:
        """The same columns in the order of names, if these are the same."""
        if self.names == tuple(names) or sorted(self.names) != sorted(names):
            return self
        order = [self.names.index(name) for name in names]
        return Table(self.values[:, order], tuple(names))


class Episode:
    """A bag with images. Raises BagError or EpisodeError.

    stamps_ns int64 [F]: stamps of the frames; received_ns int64 [F]. images_topic: that they are
    on. held: by topic, how values of slow topics were held, remarks: what else is assumed, a line
    each (both set by `state` and `action`).
    """

    def __init__(self, bag: Bag, topics: Topics = Topics()) -> None:
        self.part, self.asked = part_of(bag), topics
        self.path = self.part.path
        self.remarks: list[str] = []
        self.reader = open_bag(bag, topics.hands)
        self.provenance = provenance_of(self.reader)
        self.held: dict[str, Held] = {}
        self._stream = ImageStream(self.reader, topics.images)
        self.images_topic = self._stream.topic
        self._namespace = topics.images.rpartition('/')[0]
        self.stamps_ns, self.received_ns = self._stream.stamps_ns, self._stream.received_ns
        self._kept = np.arange(len(self.stamps_ns))
        if topics.rate_hz is not None:
            self.reduce(topics.rate_hz)

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def name(self) -> str:
        """The bag's name."""
        return self.part.name

    @property
    def rate_hz(self) -> float:
        """Frames per second, from their median period; 30 for a single frame."""
        between = np.diff(self.stamps_ns)
        return float(1e9 / np.median(between)) if len(between) else 30.0

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """The frames [H, W, 3] in order. Raises EpisodeError for one that is no colour image, and
        for a video that is damaged or lacks messages.
        """
        return self._stream.colours(self._kept)

    def reduce(self, rate_hz: float) -> None:
        """Keep the frames nearest to the times of a rate. Raises EpisodeError for a higher one."""
        try:
            self._kept = at_rate(self.stamps_ns, rate_hz)
        except ValueError as error:
            raise EpisodeError(f'{self.part}: topic {self.images_topic}: {error}') from None
        self.remarks.append(
            f'{len(self._kept)} frames of {len(self)} images, at {rate_hz:g} Hz: those nearest in '
            'time'
        )
        self.stamps_ns, self.received_ns = (
            self.stamps_ns[self._kept], self.received_ns[self._kept]
        )  # fmt: skip

    def camera(self, topic: str) -> Iterator[NDArray[np.uint8]]:
        """The image [H, W, 3] of another camera nearest to each frame. Raises EpisodeError."""
        stream = ImageStream(self.reader, topic)
        return stream.colours(self._nearest(stream))

    def depth(self, topic: str) -> Iterator[NDArray[np.float32]]:
        """The depth [H, W] of a topic nearest to each frame, metres, 0 or NaN where unknown.

        Raises EpisodeError.
        """
        stream = ImageStream(self.reader, topic, '--depth')
        return stream.depths(self._nearest(stream))

    def check_gaps(self) -> None:
        """Note missing frames. Raises EpisodeError for more than max_gap_s without any."""
        period = period_of(self.stamps_ns)
        missing = gaps(self.stamps_ns)
        if not missing:
            return
        between = np.diff(self.stamps_ns)
        longest = int(np.argmax(between))
        since = (self.stamps_ns[longest] - self.stamps_ns[0]) * 1e-9
        bound = self.asked.max_gap_s
        bound = max(LONGEST_GAP_S, 5e-9 * period) if bound is None else bound
        where = f'topic {self.images_topic}, at {since:.3f} s'
        if between[longest] > bound * 1e9:
            raise EpisodeError(
                f'{self.part}: {where}: no image for {between[longest] * 1e-9:.2f} s: cut the '
                'episode there (--split-on gaps), or allow it (--max-gap)'
            )
        self.remarks.append(
            f'topic {self.images_topic}: images are missing in {len(missing)} places, the longest '
            f'for {between[longest] * 1e-6:.0f} ms at {since:.3f} s'
        )

    def check(self) -> None:
        """Read all of it. Raises EpisodeError for what cannot be exported."""
        _ = self.state if self.asked.state else None, self.action, self.features, self.tasks
        streams: list[tuple[str, Iterator[NDArray[Any]]]] = [(self.images_topic, self.images())]
        streams += [(topic, self.camera(topic)) for _, topic in self.asked.cameras]
        streams += [(topic, self.depth(topic)) for _, topic in self.asked.depths]
        for topic, images in streams:
            if len({image.shape for image in images}) > 1:
                raise EpisodeError(
                    f'{self.part}: topic {topic}: images have several sizes: record one size'
                )

    def keypoints(self) -> list[NDArray[np.void]]:
        """The hands' keypoints of each frame (drawing/labels.py)."""
        return self._of_each_frame(KEYPOINTS, read_keypoints)

    def masks(self) -> list[NDArray[np.uint8]]:
        """The mask [H, W] of each frame (drawing/labels.py)."""
        return self._of_each_frame(MASK, read_image)

    def depths(self) -> list[NDArray[np.float32]]:
        """The depth [H, W] of each frame, metres (drawing/labels.py)."""
        return self._of_each_frame(DEPTH, depth_image)

    @property
    def camera_topic(self) -> str:
        """The topic of the CameraInfo of its images. Raises EpisodeError for none."""
        home = self._namespace
        beside = (f'{home}/camera_info', f'{home}/camera/camera_info')
        for topic in beside:
            if topic in self.reader.topics:
                return topic
        raise EpisodeError(f'{self.part}: holds no {beside[0]}: record it with the images')

    @property
    def has_backgrounds(self) -> bool:
        """Whether the scene without hands and objects is recorded: of its own frames it is."""
        return {self._namespace + BACKGROUND, BACKGROUND} & self.reader.topics.keys() != set()

    def backgrounds(self) -> Iterator[NDArray[np.uint8]]:
        """The image [H, W, 3] of the scene without hands and objects for each frame: that with its
        stamp, of a fixed camera the only one.
        """
        topic = self._label_topic(BACKGROUND)
        found = (message for message, _ in self._decoded(topic))
        first, second = next(found, None), next(found, None)
        if first is None:
            raise EpisodeError(f'{self.part}: topic {topic} is empty: record it again')
        if second is None:
            image = self._read(topic, first, read_image)
            yield from [image] * len(self)
            return
        messages, held = chain([first, second], found), -1
        for index, stamp in enumerate(self.stamps_ns.tolist()):
            while held < stamp and (message := next(messages, None)) is not None:
                held = stamp_ns(message.header)
            if held != stamp:
                raise EpisodeError(f'{self.part}: {topic} lacks frame {index}: record it again')
            yield self._read(topic, message, read_image)

    @cached_property
    def state(self) -> Table:
        """The state of each frame: the topics' numbers, else the poses of hands and objects."""
        return self._table(self.asked.state) if self.asked.state else self._poses()

    @cached_property
    def action(self) -> Table | None:
        """The action of each frame; None without a topic."""
        if self.asked.action == (NEXT_STATE,):
            values = self.state.values
            return Table(np.concatenate([values[1:], values[-1:]]), self.state.names)
        return self._table(self.asked.action) if self.asked.action else None

    @cached_property
    def features(self) -> dict[str, Table]:
        """Further numbers of each frame, by name."""
        return {name: self._table(topics) for name, topics in self.asked.features}

    @cached_property
    def tasks(self) -> list[str]:
        """The text on the topic of tasks at each frame, [] without one."""
        return self.texts(self.asked.tasks, '--task-topic') if self.asked.tasks else []

    def texts(self, topic: str, option: str) -> list[str]:
        """The text on a topic at each frame: the last one received, the first for frames before it.

        Raises EpisodeError, naming the option, for a topic without texts.
        """
        if topic not in self.reader.topics:
            raise EpisodeError(f'{self.part}: holds no topic {topic}, of {option}')
        found = [(received, message) for message, received in self._decoded(topic)]
        texts: list[Any] = [getattr(message, 'data', None) for _, message in found]
        if not texts or not all(isinstance(text, str) and text for text in texts):
            raise EpisodeError(
                f'{self.part}: topic {topic}: must have texts (std_msgs/String) that are not empty'
            )
        after = np.searchsorted([received for received, _ in found], self.received_ns, 'right')
        return [texts[max(0, int(k) - 1)] for k in after]

    def order_columns(self, state: Sequence[str], action: Sequence[str]) -> None:
        """Order the columns as these names, where they are the same: those of another episode."""
        self.state = self.state.ordered(state)
        if self.action is not None:
            self.action = self.action.ordered(action)

    def _nearest(self, stream: ImageStream) -> NDArray[np.intp]:
        """The image of another topic nearest to each frame."""
        found, away_s = stream.nearest(self.stamps_ns, self.asked.max_gap_s)
        remark = (
            f'topic {stream.topic}: of each frame the nearest image, up to {away_s * 1e3:.0f} ms '
            'away'
        )
        if away_s > 1e-3 and remark not in self.remarks:
            self.remarks.append(remark)
        return found

    def _label_topic(self, name: str) -> str:
        """The topic of labels in the namespace of the images, else at the root."""
        for topic in (self._namespace + name, name):
            if topic in self.reader.topics:
                return topic
        raise EpisodeError(
            f'{self.part}: holds no {self._namespace + name}: record it with `--labels`, or augment'
        )

    def _of_each_frame(self, name: str, reader: Callable[[Any], NDArray]) -> list[NDArray]:
        topic = self._label_topic(name)
        found = {stamp_ns(m.header): self._read(topic, m, reader) for m, _ in self._decoded(topic)}
        missing = [i for i, stamp in enumerate(self.stamps_ns.tolist()) if stamp not in found]
        if missing:
            raise EpisodeError(f'{self.part}: {topic} lacks frame {missing[0]}: record it again')
        return [found[stamp] for stamp in self.stamps_ns.tolist()]

    def _table(self, asked: Sequence[str]) -> Table:
        columns, names = [], []
        several = len({each.partition(':')[0] for each in asked}) > 1
        for each in asked:
            topic, _, fields = each.partition(':')
            values, own = self._column(topic, [field for field in fields.split(',') if field])
            columns.append(values)
            prefix = f'{topic.lstrip("/")}.' if several else ''
            names += [prefix + name for name in own]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise EpisodeError(f'{self.part}: {twice} is named twice ({", ".join(asked)}): once')
        return Table(np.concatenate(columns, 1), tuple(names))

    def _column(self, topic: str, fields: Sequence[str]) -> tuple[NDArray, list[str]]:
        if topic not in self.reader.topics:
            raise EpisodeError(
                f'{self.part}: holds no topic {topic}: it has {", ".join(self.reader.topics)}'
            )
        qos, start = self.reader.connections[topic].qos, int(self.received_ns[0])
        try:
            found = series_of(self._decoded(topic), fields, start)
            values, names, held = table(
                found, self.received_ns, self.asked.hold_of(topic), is_latched(qos)
            )
        except ColumnsError as error:
            raise EpisodeError(f'{self.part}: topic {topic}{error}') from None
        if held is not None:
            self.held[topic] = held
        count = len(durabilities(qos))
        if count > 1 and len(found) == 1:
            self.remarks.append(
                f'topic {topic} had {count} publishers: each frame has the nearest message of any'
            )
        return values, names

    def _poses(self) -> Table:
        if not {HANDS, OBJECTS} & {*self.reader.topics.values()}:
            others = [t for t, k in self.reader.topics.items() if k not in (*FRAMES, CAMERA, TF)]
            raise EpisodeError(
                f'{self.part}: holds no HandPoses or ObjectPoses: name the topics of its state '
                f'(--state; there are {", ".join(others) or "images alone"}), or with --hands what '
                'hands are read from'
            )
        motion = load_motion(self.reader, camera=None)
        samples = [motion.interpolate_at(int(stamp)) for stamp in self.stamps_ns]
        names: list[str] = []
        for side in SIDES:
            names += [f'{side}.{n}' for n in ('present', *POSE, *FINGERS)]
        for name in sorted(motion.objects):
            names += [f'{name}.{n}' for n in ('present', *POSE)]
        rows = [
            np.concatenate(
                [
                    *(_hand_row(s.hands.get(side)) for side in SIDES),
                    *(_object_row(s.objects.get(name)) for name in sorted(motion.objects)),
                ]
            )
            for s in samples
        ]
        return Table(np.array(rows, np.float32), tuple(names))

    def _read(self, topic: str, message: Any, reader: Callable[[Any], Read]) -> Read:
        """The result of a reader. Raises EpisodeError for its ValueError."""
        try:
            return reader(message)
        except ValueError as error:
            raise EpisodeError(f'{self.part}: {topic}: {error}') from None

    def _decoded(self, topic: str) -> Iterator[tuple[Any, int]]:
        """The messages of a topic and their receipt times (ns)."""
        for record in self.reader.messages([topic]):
            try:
                message = decoded(record.data, record.type_name, self._types)
            except ValueError as error:
                raise EpisodeError(f'{self.part}: topic {topic}: {error}') from None
            yield message, record.stamp_ns

    @cached_property
    def _types(self) -> Any:
        return typestore_of(self.reader)


def _hand_row(hand: HandState | None) -> NDArray[np.floating]:
    """Presence, wrist (m, xyzw) and theta [53]; zeros for a hand that is absent."""
    if hand is None:
        return np.zeros(1 + len(POSE) + len(FINGERS))
    quaternion = matrix_to_quaternion(hand.wrist_rotation)
    return np.concatenate([[1.0], hand.wrist_position, quaternion, hand.theta])


def _object_row(pose: NDArray[np.floating] | None) -> NDArray[np.floating]:
    """Presence and pose (m, xyzw) [8]; zeros for an object that is absent."""
    if pose is None:
        return np.zeros(1 + len(POSE))
    return np.concatenate([[1.0], pose[:3, 3], matrix_to_quaternion(pose[:3, :3])])
