"""A video file as a recording: its images, and the estimated poses of the hands in them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.bags.bag import BagWriter
from manivideo_ros.camera.calibration_file import load_calibration
from manivideo_ros.camera.lens import Lens
from manivideo_ros.camera.live_background import resized
from manivideo_ros.estimation.hands import HandEstimator
from manivideo_ros.estimation.placed import hands_before
from manivideo_ros.estimation.refined_poses import RefinedPoses, refine_poses
from manivideo_ros.estimation.sides import SideMemory
from manivideo_ros.estimation.silhouette import PosedHand, drawn_over
from manivideo_ros.geometry import Camera, pinhole
from manivideo_ros.hand.state import SIDES, HandState, Side
from manivideo_ros.inputs.live import HandSolver
from manivideo_ros.messages.names import CAMERA, COMPRESSED, HANDS
from manivideo_ros.messages.types import ROSBAGS, serialized

FRAME = 'camera_optical_frame'
POSES, INFO, IMAGES = '/hand_poses', '/camera/camera_info', '/camera/image_raw/compressed'
SECOND = 1_000_000_000
QUALITY = 95
FOV_Y = 0.05, 3.0
"""Vertical fields of view that are accepted, rad."""


class VideoError(ValueError):
    """A video file that cannot be used; one line that names it."""


@dataclass(frozen=True, eq=False)
class VideoFile:
    """The frames of a video file, without the distortion of its lens.

    camera: None for a pinhole of fov_y (rad) and the frames' size. Raises VideoError on reading.
    """

    path: Path
    fov_y: float = 0.79
    camera: Camera | None = None
    lens: Lens | None = None

    @classmethod
    def calibrated(cls, path: Path, fov_y: float, calibration: Path | None) -> VideoFile:
        """With the calibration of a file (YAML of camera_calibration), if one is given.

        Raises VideoError for a field of view outside FOV_Y, ValueError that names the calibration.
        """
        if not FOV_Y[0] <= fov_y <= FOV_Y[1]:
            raise VideoError(f'--fov-y: must be {FOV_Y[0]} to {FOV_Y[1]} rad')
        if calibration is None:
            return cls(path, fov_y)
        return cls(path, fov_y, *load_calibration(calibration))

    def frames(self) -> Iterator[tuple[int, NDArray[np.uint8], Camera]]:
        """Time (ns, of constant rate), image [H, W, 3] and camera of each frame."""
        video = cv2.VideoCapture(str(self.path))
        try:
            rate = video.get(cv2.CAP_PROP_FPS)
            if not video.isOpened() or not np.isfinite(rate) or rate <= 0:
                raise VideoError(f'{self.path}: no such video file, or none that can be read')
            index = 0
            while (read := video.read())[0]:
                image = np.asarray(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB), np.uint8)
                yield round(index * SECOND / rate), *self._rectified(image)
                index += 1
        finally:
            video.release()

    def _rectified(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Camera]:
        height, width = image.shape[:2]
        if self.camera is None:
            return image, Camera(pinhole(width, height, self.fov_y), np.eye(4), width, height)
        given = self.camera.width, self.camera.height
        if (width, height) != given:
            warnings.warn(
                f'{self.path}: images are {width}x{height}, the calibration is of '
                f'{given[0]}x{given[1]}: they are scaled',
                stacklevel=2,
            )
        image = resized(image, given)
        if self.lens is None:
            return image, self.camera
        return self.lens.straighten(image), self.lens.drawn


@dataclass(frozen=True)
class Recorded:
    """What was written: numbers of frames, and of frames with a hand; the fit to outlines."""

    frames: int
    posed: int
    outlines: RefinedPoses | None


def record_poses(
    video: VideoFile,
    bag: Path,
    outlines: bool = True,
    progress: Callable[[str], object] = lambda stage: None,
) -> Recorded:
    """Write the bag of a video.

    The bag has HandPoses in the camera's frame, its CameraInfo and its images (JPEG). outlines:
    fit one shape, and each pose, to the outlines of the hands. progress is called after each frame
    with what is done. Raises VideoError, BagError, EstimatorError.
    """
    estimator, memory = HandEstimator(), SideMemory()
    solvers = {side: HandSolver(side) for side in SIDES}
    start = SECOND  # a stamp of zero means none
    count = 0
    poses: dict[int, dict[Side, HandState]] = {}  # by stamp
    camera: Camera | None = None
    refused: Counter[str] = Counter()
    with BagWriter(bag) as out:
        for topic, kind in ((POSES, HANDS), (INFO, CAMERA), (IMAGES, COMPRESSED)):
            out.add_topic(topic, kind)
        for time, image, camera in video.frames():
            stamp = start + time
            header = ROSBAGS.header(stamp, FRAME)
            out.write(INFO, serialized(ROSBAGS.camera(header, camera)), stamp)
            out.write(IMAGES, serialized(ROSBAGS.jpeg(header, image, QUALITY)), stamp)
            for tracked in hands_before(image, camera.intrinsics, estimator, memory):
                try:
                    live = solvers[tracked.side].add(stamp, tracked)
                except ValueError as error:  # a false detection, or a mirrored video
                    refused[str(error)] += 1
                    continue
                if live is not None:
                    poses.setdefault(live.stamp_ns, {})[live.side] = live.state
            count += 1
            progress('estimate')
        fitted = None
        if outlines and poses and camera is not None:
            fitted = _to_outlines(video, poses, solvers, camera, lambda: progress('outlines'))
            # A recording has one shape, also where no outline fits the pose.
            shapes = fitted.betas
            poses = {
                stamp: {s: replace(h, betas=shapes.get(s, h.betas)) for s, h in hands.items()}
                for stamp, hands in fitted.hands.items()
            }
        model = solvers['right'].hand.name
        for stamp in sorted(poses):
            hands: dict[str, HandState] = {str(side): state for side, state in poses[stamp].items()}
            message = ROSBAGS.hands(ROSBAGS.header(stamp, FRAME), hands, model)
            out.write(POSES, serialized(message), stamp)
    for reason, times in refused.items():
        warnings.warn(f'{video.path}: {times} hands left out: {reason}', stacklevel=2)
    if not poses:
        rmtree(bag)  # a recording without poses is of no use
        raise VideoError(f'{video.path}: no hand found in {count} frames')
    return Recorded(count, len(poses), fitted)


def _to_outlines(
    video: VideoFile,
    poses: Mapping[int, Mapping[Side, HandState]],  # by stamp
    solvers: Mapping[Side, HandSolver],
    camera: Camera,
    progress: Callable[[], object],
) -> RefinedPoses:
    """The poses, fitted to the outlines in the video."""
    hands = {side: solver.hand for side, solver in solvers.items()}
    size = camera.height, camera.width
    posed = {side: PosedHand(hand, camera.intrinsics) for side, hand in hands.items()}

    def images(stamps: Collection[int]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for time, image, _ in video.frames():
            if SECOND + time in stamps:
                yield SECOND + time, image

    def hidden(stamp: int, side: Side) -> NDArray[np.uint8] | None:
        """Where the other hand is: which of them is in front is not known."""
        others = [(posed[o], state) for o, state in poses[stamp].items() if o != side]
        return drawn_over(size, others) if others else None

    return refine_poses(images, poses, hands, camera.intrinsics, hidden, progress)
