"""From what trackers, planners and grasps tell of objects to ObjectPoses.

Every method that takes a message returns what is to be published and its problems, each one line.
"""

from __future__ import annotations

from typing import Any

from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import quaternion_to_matrix, rigid
from manivideo_ros.msg import HandPoses, ObjectPoses
from manivideo_ros.ros.conversion import objects_message
from manivideo_ros.ros.images import header, stamp_ns
from manivideo_ros.ros.object_messages import SOURCES, Objects, read_held
from manivideo_ros.ros.parameters import ObjectSourceParameters
from manivideo_ros.ros.transforms import TransformTree

TF, GRASP, MOVEIT = 'tf', 'grasp', 'moveit'
Answer = tuple[list[ObjectPoses], list[str]]


class ObjectIntake:
    """Takes messages, gives ObjectPoses. Not thread-safe.

    Raises ValueError naming a parameter that makes no sense.
    """

    def __init__(self, parameters: ObjectSourceParameters) -> None:
        self.parameters = p = parameters
        self.transforms = TransformTree()
        self.ids = [name for name in p.ids if name]
        self.names = [name for name in p.names if name] or self.ids
        self._last_ns: dict[str, int] = {}
        self._scene: dict[str, Objects] = {}
        if p.source not in (*SOURCES, TF, GRASP):
            known = ', '.join((*SOURCES, TF, GRASP))
            raise ValueError(f'source: {p.source!r} is not one of {known}')
        if len(self.names) != len(self.ids):
            raise ValueError(f'names: {len(self.names)} for {len(self.ids)} ids, must be as many')
        if not self.ids and p.source in ('pose', 'pose_array', TF, GRASP):
            raise ValueError(f'ids: source {p.source} does not tell which object it is: name it')
        if p.source == 'pose' and len(self.ids) != len(self.topics):
            raise ValueError(f'ids: {len(self.ids)} for {len(self.topics)} topics, one each')
        if p.source == GRASP:
            if len(self.ids) != 1 or len(p.grasp) != 7 or p.grasp_side not in ('left', 'right'):
                raise ValueError('grasp: one id, 7 numbers (x y z qx qy qz qw), left or right')
            self._held = rigid(quaternion_to_matrix(p.grasp[3:]), p.grasp[:3])

    @property
    def topics(self) -> tuple[str, ...]:
        """What is subscribed to besides TF."""
        return tuple(topic for topic in self.parameters.topics if topic)

    def take(self, message: Any, index: int) -> Answer:
        """A message of the topic with that index."""
        _, read = SOURCES[self.parameters.source]
        one = self.parameters.source == 'pose'
        found = read(message, self.names[index : index + 1] if one else self.names)
        if self.parameters.source != MOVEIT:
            return self._publish(found)
        for name in found.poses:
            self._scene[name] = found
        return [], found.problems

    def scene(self, now_ns: int) -> list[ObjectPoses]:
        """What MoveIt's scene holds: it tells each object once, and it stays."""
        messages = []
        for name, found in list(self._scene.items()):
            found.stamp_ns = now_ns
            messages += self._publish(found)[0]
            if found.confidence[name] == 0:
                del self._scene[name]
        return messages

    def take_hands(self, message: HandPoses) -> Answer:
        """Hands, of which one holds the object."""
        side, model = self.parameters.grasp_side, next((h.hand_model for h in message.hands), '')
        return self._publish(read_held(message, self.names[0], side, self._held, model))

    def start_anew(self) -> None:
        """Time was set back: forget what moves."""
        self.transforms.forget_moving()
        self._last_ns.clear()

    def take_transforms(self, message: TFMessage, static: bool = False) -> Answer:
        """Where frames are; objects of their frames as often as these move."""
        problems = self.transforms.take(message, static)
        base = self.parameters.frame or 'world'
        moved = {t.child_frame_id.lstrip('/'): stamp_ns(t.header) for t in message.transforms}
        found: dict[int, Objects] = {}
        for name in self.names if self.parameters.source == TF else ():
            stamps = [moved[f] for f in self.transforms.ancestors(name) & moved.keys()]
            stamp = max(stamps, default=0)
            if stamp == 0 or stamp == self._last_ns.get(name):
                continue
            self._last_ns[name] = stamp
            try:
                pose = self.transforms.lookup(base, name, stamp)
            except LookupError as error:
                problems.append(str(error))
                continue
            out = found.setdefault(stamp, Objects(stamp, base))
            out.poses[name], out.confidence[name] = pose, 1.0
        messages = []
        for stamp in sorted(found):
            published, more = self._publish(found[stamp])
            messages += published
            problems += more
        return messages, problems

    def _publish(self, found: Objects) -> Answer:
        if found.stamp_ns == 0:
            return [], [*found.problems, 'header.stamp: zero: the driver must stamp its poses']
        ids = dict(zip(self.names, self.ids, strict=True)) or {name: name for name in found.poses}
        poses = {ids[name]: pose for name, pose in found.poses.items() if name in ids}
        trust = {ids[name]: found.confidence[name] for name in found.poses if name in ids}
        if found.poses and not poses:
            there = ', '.join(list(found.poses)[:5])
            found.problems.append(f'none of {", ".join(self.names)} is there: it has {there}')
        if not poses:
            return [], found.problems
        frame = found.frame_id or self.parameters.frame or 'world'
        return [objects_message(header(found.stamp_ns, frame), poses, trust)], found.problems
