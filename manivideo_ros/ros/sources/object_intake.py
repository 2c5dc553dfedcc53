"""Converts the messages of trackers, planners and hands to ObjectPoses.

Every method that takes a message returns the messages to publish and its problems, each one line.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tf2_msgs.msg import TFMessage

from manivideo_ros.geometry import quaternion_to_matrix, rigid
from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.motion.transforms import TransformTree
from manivideo_ros.msg import HandPoses, ObjectPoses, SceneObject
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import ObjectSourceParameters
from manivideo_ros.ros.sources.moveit_scene import MoveitScene
from manivideo_ros.ros.sources.object_messages import SOURCES, Objects, read_held
from manivideo_ros.ros.sources.plan_intake import PlanIntake

TF, GRASP, MOVEIT = 'tf', 'grasp', 'moveit'
# Message types of MoveIt's topics, by a part of their names.
MOVEIT_KINDS = {
    'attached': 'AttachedCollisionObject',
    'planning_scene': 'PlanningScene',
    'display': 'DisplayTrajectory',
}
Answer = tuple[list[ObjectPoses], list[str]]


class ObjectIntake:
    """Takes messages and returns ObjectPoses. Not thread-safe.

    Raises ValueError with the name of an unusable parameter.
    """

    def __init__(self, parameters: ObjectSourceParameters) -> None:
        self.parameters = p = parameters
        self.transforms = TransformTree()
        self.ids = [name for name in p.ids if name]
        self.names = [name for name in p.names if name] or self.ids
        self._last_ns: dict[str, int] = {}
        self.moveit = MoveitScene(self.transforms)
        self.plan = PlanIntake()
        if p.source not in (*SOURCES, MOVEIT, TF, GRASP):
            known = ', '.join((*SOURCES, MOVEIT, TF, GRASP))
            raise ValueError(f'source: {p.source!r} is not one of {known}')
        if len(self.names) != len(self.ids):
            raise ValueError(f'names: {len(self.names)} for {len(self.ids)} ids: must be equal')
        if not self.ids and p.source in ('pose', 'pose_array', TF, GRASP):
            raise ValueError(f'ids: source {p.source} does not identify objects: give their ids')
        if p.source == 'pose' and len(self.ids) != len(self.topics):
            raise ValueError(f'ids: {len(self.ids)} for {len(self.topics)} topics: must be equal')
        if p.source == GRASP:
            if len(self.ids) != 1 or len(p.grasp) != 7 or p.grasp_side not in ('left', 'right'):
                raise ValueError(
                    'grasp: needs one id, 7 numbers (x y z qx qy qz qw), left or right'
                )
            self._held = rigid(quaternion_to_matrix(p.grasp[3:]), p.grasp[:3])

    @property
    def topics(self) -> tuple[str, ...]:
        """The subscribed topics, besides TF."""
        return tuple(topic for topic in self.parameters.topics if topic)

    def take(self, message: Any, index: int, received_ns: int = 0) -> Answer:
        """Convert a message of the topic with that index; received_ns: on the ROS clock."""
        if hasattr(message, 'trajectory_start'):
            held = message.trajectory_start.attached_collision_objects
            problems = [problem for item in held for problem in self.moveit.take(item)]
            links = {thing.frame for thing in self.moveit.things.values() if thing.held}
            return [], problems + self.plan.take(message, received_ns, links)
        if self.parameters.source == MOVEIT:
            return [], self.moveit.take(message)
        _, read = SOURCES[self.parameters.source]
        one = self.parameters.source == 'pose'
        return self._publish(read(message, self.names[index : index + 1] if one else self.names))

    def type_of(self, topic: str) -> str:
        """The message type of a topic; for MoveIt it depends on the topic's name."""
        if self.parameters.source == MOVEIT:
            kinds = [kind for part, kind in MOVEIT_KINDS.items() if part in topic]
            return f'moveit_msgs/msg/{[*kinds, "CollisionObject"][0]}'
        return SOURCES[self.parameters.source][0]

    def scene(self, now_ns: int) -> list[ObjectPoses]:
        """The poses of all objects in MoveIt's scene; removed ones once more, with confidence 0.

        An object that the robot holds is in the frame of the link that holds it: it follows that
        frame on TF or, while a plan is shown, the plan.
        """
        found: dict[str, Objects] = {}
        gone, self.moveit.removed = self.moveit.removed, []
        for name, thing in (*gone, *self.moveit.things.items()):
            if name in self.names or not self.names:
                link = self.plan.link(thing.frame, now_ns) if thing.held else None
                frame, pose = link or (thing.frame, np.eye(4))
                out = found.setdefault(frame, Objects(now_ns, frame))
                out.poses[name] = pose @ thing.pose
                out.confidence[name] = float(self.moveit.things.get(name) is thing)
        return [message for out in found.values() for message in self._publish(out)[0]]

    def scene_objects(self) -> list[SceneObject]:
        """MoveIt's objects with their shapes, for SetScene."""
        return [
            SceneObject(
                id=name,
                vertices=shape.vertices.astype(np.float32).ravel(),
                triangles=shape.faces.astype(np.uint32).ravel(),
            )
            for name, shape in self.moveit.shapes.items()
        ]

    def take_hands(self, message: HandPoses) -> Answer:
        """Convert hands, one of which holds the object."""
        side, model = self.parameters.grasp_side, next((h.hand_model for h in message.hands), '')
        return self._publish(read_held(message, self.names[0], side, self._held, model))

    def reset(self) -> None:
        """Forget everything that moves, after a clock reset."""
        self.transforms.forget_moving()
        self._last_ns.clear()
        self.plan.reset()

    def take_transforms(self, message: TFMessage, static: bool = False) -> Answer:
        """Add transforms; with source tf, returns the objects whose frames moved."""
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
            found.problems.append(f'has none of {", ".join(self.names)}, only {there}')
        if not poses:
            return [], found.problems
        frame = found.frame_id or self.parameters.frame or 'world'
        return [RCLPY.objects(RCLPY.header(found.stamp_ns, frame), poses, trust)], found.problems
