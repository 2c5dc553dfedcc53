"""Arrays to messages. One builder serves rclpy (ros/message_types.py) and rosbags (types.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.geometry import Camera, matrix_to_quaternion, rigid
from manivideo_ros.hand.keypoint import KEYPOINT
from manivideo_ros.hand.state import SIDES, HandState
from manivideo_ros.messages.names import (
    CAMERA,
    COMPRESSED,
    HANDS,
    IMAGE,
    OBJECTS,
    PACKET,
    POINTS,
    VIDEO,
)
from manivideo_ros.messages.video_types import ENCODING, FORMAT, KEY

if TYPE_CHECKING:  # imports libavcodec
    from manivideo_ros.video.encoder import Encoded

Array = NDArray[np.floating]

# By dtype and shape of a pixel. REP 118: depth is 32FC1 in metres.
ENCODINGS = {('uint8', (3,)): 'rgb8', ('uint8', ()): 'mono8', ('float32', ()): '32FC1'}
FLOAT32, UINT8 = 7, 2  # of PointField


@dataclass(frozen=True)
class MessageBuilder:
    """Builds messages of one library's classes.

    message: the class of a type's name ('sensor_msgs/msg/Image'); sequence: a numpy array [N] as
    what the library stores in an unbounded sequence of numbers.
    """

    message: Callable[[str], Callable[..., Any]]
    sequence: Callable[[NDArray[np.uint8]], Any]

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """A Header of that stamp (ns) and frame."""
        seconds, nanoseconds = divmod(int(stamp_ns), 10**9)
        stamp = self.message('builtin_interfaces/msg/Time')(sec=seconds, nanosec=nanoseconds)
        return self.message('std_msgs/msg/Header')(stamp=stamp, frame_id=frame_id)

    def point(self, place: Array) -> Any:
        """The Point of a position [3]."""
        x, y, z = (float(v) for v in place)
        return self.message('geometry_msgs/msg/Point')(x=x, y=y, z=z)

    def pose(self, transform: Array) -> Any:
        """The Pose of a rigid transform [4, 4]."""
        x, y, z = (float(v) for v in transform[:3, 3])
        qx, qy, qz, qw = (float(v) for v in matrix_to_quaternion(transform[:3, :3]))
        return self.message('geometry_msgs/msg/Pose')(
            position=self.message('geometry_msgs/msg/Point')(x=x, y=y, z=z),
            orientation=self.message('geometry_msgs/msg/Quaternion')(x=qx, y=qy, z=qz, w=qw),
        )

    def transform(self, header: Any, child_frame_id: str, transform: Array) -> Any:
        """TransformStamped: the pose [4, 4] of child_frame_id in the header's frame."""
        pose = self.pose(transform)
        at = pose.position
        return self.message('geometry_msgs/msg/TransformStamped')(
            header=header,
            child_frame_id=child_frame_id,
            transform=self.message('geometry_msgs/msg/Transform')(
                translation=self.message('geometry_msgs/msg/Vector3')(x=at.x, y=at.y, z=at.z),
                rotation=pose.orientation,
            ),
        )

    def hands(
        self,
        header: Any,
        hands: Mapping[str, HandState],
        hand_model: str,
        confidence: Mapping[str, float] | None = None,
    ) -> Any:
        """HandPoses of hands by side; confidence by side where it is not 1."""
        certain = confidence or {}
        return self.message(HANDS)(
            header=header,
            hands=[
                self.message('manivideo_ros/msg/HandPose')(
                    side=SIDES.index(side),
                    hand_model=hand_model,
                    wrist=self.pose(rigid(state.wrist_rotation, state.wrist_position)),
                    theta=np.asarray(state.theta, np.float32),
                    betas=self.sequence(np.asarray(state.betas, np.float32)),
                    confidence=float(certain.get(side, 1.0)),
                    elbow=self.point(np.zeros(3) if state.elbow is None else state.elbow),
                    has_elbow=state.elbow is not None,
                )
                for side, state in hands.items()
            ],
        )

    def objects(
        self,
        header: Any,
        poses: Mapping[str, Array],
        confidence: Mapping[str, float] | None = None,
    ) -> Any:
        """ObjectPoses of poses [4, 4] by object id; confidence by id where it is not 1."""
        certain = confidence or {}
        return self.message(OBJECTS)(
            header=header,
            objects=[
                self.message('manivideo_ros/msg/ObjectPose')(
                    object_id=name,
                    pose=self.pose(pose),
                    confidence=float(certain.get(name, 1.0)),
                )
                for name, pose in poses.items()
            ],
        )

    def camera(
        self, header: Any, camera: Camera, model: str = 'plumb_bob', d: Sequence[float] = (0.0,) * 5
    ) -> Any:
        """CameraInfo of a camera's intrinsics, with a lens's distortion model and coefficients."""
        k = np.asarray(camera.intrinsics, np.float64)
        return self.message(CAMERA)(
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model=model,
            d=self.sequence(np.array(d, np.float64)),
            k=k.ravel(),
            r=np.eye(3).ravel(),
            p=np.hstack([k, np.zeros((3, 1))]).ravel(),
            binning_x=0,
            binning_y=0,
            roi=self.message('sensor_msgs/msg/RegionOfInterest')(
                x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
            ),
        )

    def image(self, header: Any, pixels: NDArray[Any]) -> Any:
        """Image of uint8 [H, W, 3] (rgb8), uint8 [H, W] (mono8) or float32 [H, W] (32FC1).

        Raises ValueError for another shape or dtype.
        """
        encoding = ENCODINGS.get((pixels.dtype.name, pixels.shape[2:]))
        if encoding is None or pixels.ndim < 2:
            raise ValueError(
                'images must be uint8 [H, W, 3] or [H, W], or float32 [H, W],'
                f' got {pixels.dtype} {[*pixels.shape]}'
            )
        height, width = pixels.shape[:2]
        return self.message(IMAGE)(
            header=header,
            height=height,
            width=width,
            encoding=encoding,
            is_bigendian=0,
            step=pixels[0].nbytes if height else 0,
            data=self._bytes(pixels),
        )

    def jpeg(self, header: Any, pixels: NDArray[np.uint8], quality: int = 90) -> Any:
        """CompressedImage of uint8 [H, W, 3] RGB, as image_transport's `compressed` publishes it.

        Raises ValueError for an image that OpenCV cannot encode.
        """
        done, data = cv2.imencode('.jpg', pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not done:
            raise ValueError(f'an image of shape {[*pixels.shape]} cannot be encoded as JPEG')
        return self.message(COMPRESSED)(
            header=header, format='rgb8; jpeg compressed bgr8', data=self._bytes(data)
        )

    def video(self, header: Any, encoded: Encoded) -> Any:
        """CompressedVideo of an encoded image, as Foxglove and image_transport read it."""
        return self.message(VIDEO)(
            timestamp=header.stamp,
            frame_id=header.frame_id,
            data=self._bytes(np.frombuffer(encoded.data, np.uint8)),
            format=FORMAT,
        )

    def packet(self, header: Any, encoded: Encoded, size: tuple[int, int]) -> Any:
        """FFMPEGPacket of an encoded image, as ffmpeg_image_transport reads it; size: its width and
        height.
        """
        return self.message(PACKET)(
            header=header,
            width=size[0],
            height=size[1],
            encoding=ENCODING,
            pts=encoded.number,
            flags=KEY if encoded.key else 0,
            is_bigendian=False,
            data=self._bytes(np.frombuffer(encoded.data, np.uint8)),
        )

    def points(self, header: Any, keypoints: NDArray[np.void]) -> Any:
        """PointCloud2 of keypoints [K] of dtype KEYPOINT, one field each of x, y, z, u, v, ..."""
        fields: Mapping[str, Any] = KEYPOINT.fields or {}
        return self.message(POINTS)(
            header=header,
            height=1,
            width=len(keypoints),
            fields=[
                self.message('sensor_msgs/msg/PointField')(
                    name=name,
                    offset=offset,
                    datatype=FLOAT32 if kind.kind == 'f' else UINT8,
                    count=1,
                )
                for name, (kind, offset) in fields.items()
            ],
            is_bigendian=False,
            point_step=KEYPOINT.itemsize,
            row_step=KEYPOINT.itemsize * len(keypoints),
            data=self._bytes(keypoints),
            is_dense=True,
        )

    def _bytes(self, values: NDArray[Any]) -> Any:
        return self.sequence(np.ascontiguousarray(values).reshape(-1).view(np.uint8))
