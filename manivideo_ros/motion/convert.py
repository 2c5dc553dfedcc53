"""`manivideo convert`: converts recorded joints to a motion file, a bag of any storage to MCAP."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from manivideo_ros.bags.copying import copy_bag
from manivideo_ros.geometry import Camera, look_at, pinhole, quaternion_to_matrix, rigid
from manivideo_ros.hand.load import load_hand
from manivideo_ros.inputs.keypoints import HandFit, fit, fit_betas
from manivideo_ros.inputs.live import TRUST
from manivideo_ros.inputs.world import AXES
from manivideo_ros.motion.files import save_motion
from manivideo_ros.motion.motion import HandTrack, Motion, ObjectTrack
from manivideo_ros.motion.recordings import Recording, RecordingError, read_recording
from manivideo_ros.motion.sources.hand_option import HELP
from manivideo_ros.motion.sources.recorded_hands import open_bag

Side = Literal['left', 'right']
# Direction of the camera: from behind the shoulders of a person who faces +y.
VIEW_FROM = np.array([0.0, -0.75, 0.66])


def convert(recording: Recording, name: str = 'recording') -> tuple[Motion, dict[str, HandFit]]:
    """The motion of a recording, with a camera that frames it, and each hand's fit over the frames
    in which the hand is present.

    Raises ValueError if no frame has a hand, or the hands do not fit.
    """
    hands, fits = {}, {}
    for side, points in recording.keypoints.items():
        present = np.asarray(np.isfinite(points).all((1, 2)))
        if present.any():
            fits[side] = _fit_runs(points, present, cast(Side, side))
            hands[side] = _track(fits[side], present)
            error = float(fits[side].error.mean())
            if error > TRUST[1]:
                raise ValueError(
                    f'{name}: the {side} hand fits within {1000 * error:.0f} mm only: save its '
                    'joints in the order of WebXR (25), OpenXR (26) or MediaPipe (21 keypoints)'
                )
    if not hands:
        lost = '; '.join(
            f'{side}: {_counted(reasons)}' for side, reasons in recording.left_out.items()
        )
        raise ValueError(f'{name}: no frame has a whole hand ({lost or "joints are not finite"})')
    seen = np.concatenate(
        [points[np.isfinite(points).all((1, 2))] for points in recording.keypoints.values()]
    )
    camera = framing_camera(seen.reshape(-1, 3))
    return Motion(recording.stamps_ns, hands, {}, camera, name=name), fits


def attach_object(
    motion: Motion, side: str, mesh: str, wrist_from_object: ArrayLike, scale: float = 1.0
) -> Motion:
    """The motion with an object rigidly attached to a wrist at a pose [4,4].

    Raises ValueError if the motion lacks that hand.
    """
    if side not in motion.hands:
        raise ValueError(f'{motion.name}: there is no {side} hand to attach {mesh} to')
    hand = motion.hands[side]
    wrist = rigid(hand.wrist_rotation, hand.wrist_position)
    poses = (wrist @ np.asarray(wrist_from_object, np.float64)).astype(np.float32)
    name = Path(mesh).stem or mesh
    track = ObjectTrack(mesh, scale, hand.present, poses)
    return replace(motion, objects={**motion.objects, name: track})


def framing_camera(points: NDArray[np.floating], size: int = 256, fov: float = 45.0) -> Camera:
    """A square camera (fov in degrees) that sees 98% of the points [N,3], with a margin."""
    low, high = np.percentile(points, (1, 99), axis=0)
    centre = 0.5 * (low + high)
    intrinsics = pinhole(size, size, np.radians(fov))
    for distance in np.arange(0.35, 6.0, 0.05):
        pose = look_at(centre + distance * VIEW_FROM, centre)
        camera = Camera(intrinsics, pose, size, size)
        pixels, depth = camera.project(points)
        inside = (np.abs(pixels - size / 2) < 0.42 * size).all(1) & (depth > 0.15)
        if inside.mean() > 0.98:
            break
    return camera


def _fit_runs(points: NDArray[np.float64], present: NDArray[np.bool_], side: Side) -> HandFit:
    """Fit one shape to the recording, and poses to each run of frames: no smoothing over gaps."""
    betas = fit_betas(points[present], load_hand(side))
    frames = np.flatnonzero(present)
    runs = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    parts = [fit(points[run], side, betas) for run in runs]
    names = ('theta', 'wrist_rotation', 'wrist_position', 'error')
    joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    return HandFit(betas=parts[0].betas, **joined)


def _track(found: HandFit, present: NDArray[np.bool_]) -> HandTrack:
    frames = len(present)
    theta = np.zeros((frames, 45), np.float32)
    rotation = np.tile(np.eye(3, dtype=np.float32), (frames, 1, 1))
    position = np.zeros((frames, 3), np.float32)
    theta[present], rotation[present] = found.theta, found.wrist_rotation
    position[present] = found.wrist_position
    return HandTrack(present, theta, found.betas, rotation, position)


def _counted(reasons: Mapping[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in reasons.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 and one line of error for a recording that cannot be converted."""
    parser = argparse.ArgumentParser(prog='manivideo convert', description=__doc__)
    parser.add_argument('recording',
                        help='npz: left/right [F,25,3|7] or keypoints [F,21,3]; a bag')  # fmt: skip
    parser.add_argument('motion', help='folder of the motion file or bag to write')
    parser.add_argument('--hands', default='', metavar='FROM', help=f'of a bag: {HELP}')
    parser.add_argument('--side', choices=('left', 'right'), default='right',
                        help='whose keypoints, and the hand that holds the object')  # fmt: skip
    parser.add_argument('--unit', type=float, default=1.0, help='metres per unit of the recording')
    parser.add_argument('--axes', choices=tuple(AXES),
                        help='of its world: ros (z up), y_up or unity (left-handed); y_up for '
                        'joints, keypoints as they are')  # fmt: skip
    parser.add_argument('--rate', type=float, help='resample to this rate, Hz (as recorded)')
    parser.add_argument('--object', help="what the hand holds: a shape's name or a mesh file")
    parser.add_argument('--scale', type=float, default=1.0, help='metres per unit of the mesh')
    axes = ('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW')
    parser.add_argument('--grasp', type=float, nargs=7, metavar=axes,
                        help='pose of the object in the wrist frame, m and xyzw')  # fmt: skip
    args = parser.parse_args(arguments)
    if Path(args.recording).suffix != '.npz':
        for name in ('side', 'unit', 'axes', 'rate', 'object', 'scale', 'grasp'):
            if getattr(args, name) != parser.get_default(name):
                print(f'manivideo convert: --{name} is for npz recordings', file=sys.stderr)
                return 2
        return convert_bag(args.recording, Path(args.motion), args.hands)
    try:
        if args.hands:
            raise RecordingError('--hands is for bags')
        if not args.unit > 0:
            raise RecordingError(f'--unit must be above 0, got {args.unit}')
        recording = read_recording(args.recording, args.side, args.unit, args.axes)
        motion, fits = convert(recording, Path(args.recording).stem)
        if args.object is not None:
            grasp = args.grasp or ([-0.1, -0.06, 0, 0, 0, 0, 1])
            if args.side == 'left' and args.grasp is None:
                grasp[0] = 0.1
            frame = rigid(quaternion_to_matrix(grasp[3:]), grasp[:3])
            motion = attach_object(motion, args.side, args.object, frame, args.scale)
        if args.rate is not None:
            if not args.rate > 0:
                raise RecordingError(f'--rate must be above 0, got {args.rate}')
            step = round(1e9 / args.rate)
            stamps = np.arange(motion.stamps_ns[0], motion.stamps_ns[-1] + 1, step, dtype=np.int64)
            motion = motion.resampled(stamps)
        save_motion(motion, args.motion)
    except ValueError as error:
        print(f'manivideo convert: {error}', file=sys.stderr)
        return 2
    for side, found in fits.items():
        mean = 1000 * float(found.error.mean())
        print(f'{side}: {len(found.theta)} frames, fitted within {mean:.1f} mm on average')
        if mean > 1000 * TRUST[0]:
            print(
                f'{side}: fits poorly: check the order of the joints, the unit and the side',
                file=sys.stderr,
            )
    for side, reasons in recording.left_out.items():
        if reasons:
            print(f'{side}: frames without a hand: {_counted(reasons)}')
    print(f'{args.motion}: {len(motion)} frames, {motion.duration_s:.1f} s')
    return 0


def convert_bag(path: str, out: Path, hands: str) -> int:
    """Write a bag as MCAP, with the hands that `hands` names; returns the exit status."""
    try:
        reader = open_bag(path, hands)
        count = copy_bag(reader, out)
    except (ValueError, OSError) as error:
        print(f'manivideo convert: {error}', file=sys.stderr)
        return 2
    print(f'{out}: {count} messages on {len(reader.topics)} topics')
    return 0
