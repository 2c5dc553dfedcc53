"""Messages of a motion's frames, built on the typestore (no rclpy)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, matrix_to_quaternion
from manivideo_ros.hand.state import SIDES
from manivideo_ros.motion.motion import Motion
from manivideo_ros.recording.messages.types import typestore

HANDS, OBJECTS = 'manivideo_ros/msg/HandPoses', 'manivideo_ros/msg/ObjectPoses'
CAMERA, TF, STRING = 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage', 'std_msgs/msg/String'
CAMERA_FRAME = 'camera_optical'


def hands_message(motion: Motion, index: int) -> Any:
    """HandPoses of one frame."""
    types = typestore().types
    hands = [
        types['manivideo_ros/msg/HandPose'](
            side=SIDES.index(side),
            hand_model=motion.hand_model,
            wrist=_pose(hand.wrist_rotation[index], hand.wrist_position[index]),
            theta=np.asarray(hand.theta[index], np.float32),
            betas=np.asarray(hand.betas, np.float32),
            confidence=1.0,
        )
        for side, hand in motion.hands.items()
        if hand.present[index]
    ]
    return types[HANDS](header=header(motion.stamps_ns[index], motion.frame_id), hands=hands)


def objects_message(motion: Motion, index: int) -> Any:
    """ObjectPoses of one frame."""
    types = typestore().types
    objects = [
        types['manivideo_ros/msg/ObjectPose'](
            object_id=name,
            pose=_pose(track.poses[index, :3, :3], track.poses[index, :3, 3]),
            confidence=1.0,
        )
        for name, track in motion.objects.items()
        if track.present[index]
    ]
    return types[OBJECTS](header=header(motion.stamps_ns[index], motion.frame_id), objects=objects)


def camera_message(camera: Camera, stamp_ns: int, frame: str = CAMERA_FRAME) -> Any:
    """CameraInfo of a pinhole without distortion."""
    types = typestore().types
    projection = np.concatenate([camera.intrinsics, np.zeros((3, 1))], 1)
    return types[CAMERA](
        header=header(stamp_ns, frame),
        height=camera.height,
        width=camera.width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=np.asarray(camera.intrinsics, np.float64).reshape(-1),
        r=np.eye(3).reshape(-1),
        p=projection.reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )


def camera_transform(motion: Motion, camera: Camera, frame: str = CAMERA_FRAME) -> Any:
    """The TFMessage that places the camera, called `frame`, in the frame of the poses."""
    types = typestore().types
    rotation = np.asarray(camera.camera_from_world)[:3, :3].T
    position = -rotation @ np.asarray(camera.camera_from_world)[:3, 3]
    pose = _pose(rotation, position)
    vector = types['geometry_msgs/msg/Vector3'](
        x=pose.position.x, y=pose.position.y, z=pose.position.z
    )
    transform = types['geometry_msgs/msg/Transform'](translation=vector, rotation=pose.orientation)
    stamped = types['geometry_msgs/msg/TransformStamped'](
        header=header(motion.stamps_ns[0], motion.frame_id),
        child_frame_id=frame,
        transform=transform,
    )
    return types[TF](transforms=[stamped])


def header(stamp_ns: int, frame_id: str) -> Any:
    """A Header."""
    types = typestore().types
    seconds, nanoseconds = divmod(int(stamp_ns), 10**9)
    stamp = types['builtin_interfaces/msg/Time'](sec=seconds, nanosec=nanoseconds)
    return types['std_msgs/msg/Header'](stamp=stamp, frame_id=frame_id)


def _pose(rotation: NDArray, position: NDArray) -> Any:
    types = typestore().types
    x, y, z, w = matrix_to_quaternion(rotation).tolist()
    px, py, pz = np.asarray(position, np.float64).tolist()
    return types['geometry_msgs/msg/Pose'](
        position=types['geometry_msgs/msg/Point'](x=px, y=py, z=pz),
        orientation=types['geometry_msgs/msg/Quaternion'](x=x, y=y, z=z, w=w),
    )
