"""`manivideo calibrate`: a recording becomes a scene folder, which nodes and commands take."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from manivideo_ros.commands.calibrate_robot import calibrate_robot
from manivideo_ros.data.recorded.bag import part
from manivideo_ros.data.recorded.calibration import Calibration, calibrated
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.estimation.scene_folder import write_scene_folder
from manivideo_ros.estimation.video_poses import VideoError, VideoFile, record_poses
from manivideo_ros.estimation.webcam_video import record_webcam
from manivideo_ros.evaluation.measures.image import masked_squared_error, psnr_db
from manivideo_ros.evaluation.photographs.recorded_truth import RecordedGroundTruth
from manivideo_ros.evaluation.photographs.recording import Recording, first_measured
from manivideo_ros.evaluation.sheets import contact_sheet, spread_indices
from manivideo_ros.evaluation.suites.clip_measures import painted, painter_of
from manivideo_ros.motion.robots.options import add_robot_options, robot_given

SIZE = 256
SHOWN = 4
VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpg', '.webm')
WEBCAM, RECORDED = 'webcam.avi', 'recording'
EXPOSURE = 'exposure.json'


def main(arguments: Sequence[str]) -> int:
    """The command line. Raises ValueError (one line) and OSError."""
    parser = argparse.ArgumentParser(
        prog='manivideo calibrate',
        description='Make a scene folder of a recording with images and poses: the background '
        'without hands and objects, a hand reference, skin texture and light of the hands. Nodes '
        'and commands take it as scene. With --robot: the background, the colours of the robot and '
        'the light on it. The first two thirds of the frames are used, the last '
        'third tests the result.',
    )
    parser.add_argument(
        'recording', type=Path, nargs='?', help='bag, or a video file, whose hands are estimated'
    )
    parser.add_argument('--webcam', type=int, help='number of a webcam, instead of a recording')
    parser.add_argument('--seconds', type=float, default=20.0, help='to record of the webcam')
    parser.add_argument('--fov-y', type=float, default=0.79, help='of a video, vertical, rad')
    parser.add_argument('--calibration', type=Path, help='of a video: YAML of camera_calibration')
    parser.add_argument('--out', type=Path, required=True, help='the scene folder')
    parser.add_argument('--images', default='', help='topic of the images (the only one)')
    parser.add_argument('--camera', default='', help='topic of their CameraInfo (the only one)')
    parser.add_argument('--mano', type=Path, help='folder that `manivideo convert-mano` wrote')
    add_robot_options(parser)
    args = parser.parse_args(arguments)
    if (args.recording is None) == (args.webcam is None):
        parser.error('give a recording, or --webcam')
    path = args.recording
    if args.webcam is not None:
        path = args.out / WEBCAM
        record_webcam(args.webcam, args.seconds, path)
    robot = robot_given(args)
    if robot is not None:
        if args.webcam is not None or (path.is_file() and path.suffix in VIDEOS):
            parser.error('--robot is for bags with joint states')
        calibrate_robot(path, robot, args.out, args.images, args.camera)
        print(args.out)
        return 0
    is_video = path.is_file() and path.suffix in VIDEOS
    unused = ('images', 'camera', 'mano') if is_video else ('fov_y', 'calibration')
    for name in unused:
        if getattr(args, name) != parser.get_default(name):
            whose = 'bags' if is_video else 'videos'
            parser.error(f'--{name.replace("_", "-")} is for {whose}')
    if is_video:
        path = _estimated(VideoFile.calibrated(path, args.fov_y, args.calibration), args.out)
    _calibrate(Recording(path, args.images, args.camera, args.mano), args.out)
    print(args.out)
    return 0


def _estimated(video: VideoFile, out: Path) -> Path:
    """The bag of a video's images and poses, in the scene folder. Raises VideoError, BagError."""
    bag = out / RECORDED
    if bag.exists():
        raise VideoError(f'{bag}: is there from an earlier run: remove it, or give it instead')
    with tqdm(unit='frame', mininterval=1) as bar:
        # The clip's own poses are fitted to its outlines: those that are used, and no others.
        record_poses(video, bag, False, lambda _: bar.update())
    return bag


def _calibrate(recording: Recording, out: Path) -> None:
    """Write the scene folder of a recording, with its report, and print what was found."""
    clip, hands = recording.clip()
    first = first_measured(clip)
    made = calibrated(part(clip, 0, first), hands)
    frames, background = range(first, len(clip)), made.background.image
    truth = RecordedGroundTruth(
        clip, hands, SIZE, frames, background, made.reference, light=made.light
    )
    found, sheet = _check(truth)
    skin = None if made.skin is None else made.skin.texture
    write_scene_folder(
        out, background, made.hand, made.parts, skin, made.light, made.shape, made.support
    )
    if made.exposure is not None:
        (out / EXPOSURE).write_text(json.dumps(made.exposure.to_json()) + '\n')
    report = _report(clip, made, found)
    (out / 'report.json').write_text(json.dumps(report, indent=1) + '\n')
    Image.fromarray(_shown(made)).save(out / 'report_references.png')
    Image.fromarray(contact_sheet(sheet, SHOWN)).save(out / 'report_frames.png')
    for line in _lines(made, report):
        print(line)


def _check(truth: RecordedGroundTruth) -> tuple[float, dict[str, list[NDArray[np.uint8]]]]:
    """PSNR (dB) of painted frames that were not used, over hands and objects, and some of them."""
    painter = painter_of(truth.inputs)
    errors = []
    sheet: dict[str, list[NDArray[np.uint8]]] = {'recorded': [], 'painted': []}
    for index in spread_indices(len(truth.inputs.motion), SHOWN):
        true = truth.frame(index)
        image = painted(painter, truth.inputs, index)['textured']
        errors.append(masked_squared_error(image, true.image, true.mask))
        sheet['recorded'].append(true.image)
        sheet['painted'].append(image)
    return psnr_db(errors), sheet


def _report(clip: RecordedClip, made: Calibration, psnr: float) -> dict[str, Any]:
    """What was seen, what was guessed."""
    return {
        'recording': clip.name,
        'frames': len(clip),
        'background_seen': round(float(made.background.seen.mean()), 4),
        'hand': made.side,
        'hand_frame': made.frame,
        'hand_mask': 'colour' if made.by_colour else 'pose',
        'mask_overlap': round(made.overlap, 3),
        'hands_fitted': len(made.fit.overlap),
        'hands_left': made.fit.kept,
        'outline_overlap_as_posed': {str(s): round(o, 3) for s, o in made.fit.as_posed.items()},
        'outline_overlap': _mean(made.fit.overlap),
        'outline_overlap_before': _mean(made.fit.before),
        'hand_shape': None if made.shape is None else made.shape.to_json(),
        'support_plane': None if made.support is None else np.round(made.support, 4).tolist(),
        'exposure': None if made.exposure is None else made.exposure.summary(),
        'skin_seen': None if made.skin is None else round(made.skin.share, 3),
        'light_towards': None if made.light is None else np.round(made.light.towards, 3).tolist(),
        'sleeve': 'not seen: the colour of the skin' if made.sleeve is None else 'seen',
        'psnr_of_unused_frames_db': round(psnr, 2),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _lines(made: Calibration, report: dict[str, Any]) -> list[str]:
    lines = [
        f'background: {report["background_seen"]:.1%} seen, the rest filled in',
        f'hand reference: the {report["hand"]} hand of frame {report["hand_frame"]}',
        *made.fit.lines(),
    ]
    if made.skin is None:
        lines.append('warning: too little of the hand is seen for a skin texture and the light')
    else:
        lines.append(f'skin: {report["skin_seen"]:.0%} seen, the rest a generated skin of its tone')
        lines.append(f'forearm: {report["sleeve"]}')
    if report['exposure'] is not None:
        low, high = report['exposure']['gain']
        lines.append(f"exposure: {low:.2f} to {high:.2f} of the background's, evened out")
    lines.append('hand shape: ' + ('found' if made.shape else 'none: the poses fit without one'))
    support = 'where objects lie' if made.support is not None else 'not seen: no object lies still'
    lines.append(f'support plane: {support}')
    lines.append(f'unused frames: {report["psnr_of_unused_frames_db"]} dB over hands and objects')
    if report['hand_mask'] == 'pose':
        lines.append(
            'warning: the hand cannot be separated from what is behind it by colour; the inside '
            'of its posed outline is used'
        )
    return lines


def _shown(made: Calibration) -> NDArray[np.uint8]:
    """What was filled in of the background, hand reference and mask, the skin and what is seen."""
    height = len(made.hand)
    marked = made.background.image.copy()
    marked[~made.background.seen] = marked[~made.background.seen] // 2 + [127, 0, 0]
    width = round(marked.shape[1] * height / len(marked))
    small = cv2.resize(marked, (width, height), interpolation=cv2.INTER_AREA)
    masked = np.where(made.parts[..., None] > 0, made.hand, made.hand // 4)
    shown = [small, made.hand, masked]
    if made.skin is not None:
        dark = np.where(made.skin.seen[..., None], made.skin.texture, made.skin.texture // 3)
        for texture in (made.skin.texture, dark):
            shown.append(cv2.resize(texture, (height, height), interpolation=cv2.INTER_AREA))
    return np.concatenate(shown, axis=1)
