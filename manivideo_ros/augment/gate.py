"""The quality gate: measures whether generated frames show the commanded hands and objects.

Estimated hands are compared with the commanded ones (evaluation/measures/hand_error.py), and the
foreground near hands and objects, by difference from the background, with their masks. What the
camera sees of the commanded ones is measured on their meshes (evaluation/measures/visibility.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from manivideo_ros.drawing.labels import layer_mask
from manivideo_ros.estimation.crops import crop_of_keypoints
from manivideo_ros.evaluation.measures.contact import Contacts, carried
from manivideo_ros.evaluation.measures.grip import Grips
from manivideo_ros.evaluation.measures.hand_error import Estimator, aligned_error, hand_size
from manivideo_ros.evaluation.measures.visibility import Seen, Visibility
from manivideo_ros.geometry import Array
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion, shaped_for
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.recording.coco import SKELETON
from manivideo_ros.recording.episode import IMAGES, Episode, Topics

FRAMES = 12  # frames of an episode whose images are judged
VIEWS = 60  # frames of an episode in which the visible shares are measured
HARDLY = 0.1  # visible share below which a hand does not count as visible in a frame
SEEN = 12  # visible joints of a hand that is judged
SMALLEST = 32  # size of a hand that is judged, pixels
LEAST_AREA = 150  # area of a silhouette that is judged, pixels
CONTRAST = 16  # of 255: threshold on the foreground's difference from the background
AROUND = 9  # pixels around a mask in which its silhouette is searched
# The object's grey in masks of 7 and of 13 layers; neither is a grey of the other.
OBJECT = [int(layer_mask(np.array([0]), layers)[0]) for layers in (7, 13)]


@dataclass(frozen=True)
class Thresholds:
    """Thresholds of the gate.

    hand_error: largest mean distance of the joints after alignment, relative to the hand's size;
    hand_misses: largest share of hands that the estimator does not find; silhouette,
    hand_silhouette: smallest mean intersection over union of the object, and of the hands; visible:
    smallest mean visible share of each commanded hand and object; unseen: largest share of frames
    in which no commanded hand is visible; inside: largest share of frames in which the camera is in
    an object; penetration: largest depth of a finger in an object, metres; untouched: largest share
    of the frames in which an object moves, although no finger is near it; empty: largest share of
    the frames in which a gripper holds something by its recorded state, although it touches no
    object; open: largest share of the frames in which a gripper carries an object up, although it
    is wide open.
    """

    hand_error: float = 0.15
    hand_misses: float = 0.4
    silhouette: float = 0.5
    hand_silhouette: float = 0.5
    visible: float = 0.05
    unseen: float = 0.2
    inside: float = 0.0
    penetration: float = 0.02
    untouched: float = 0.5
    empty: float = 0.5
    open: float = 0.5


@dataclass(frozen=True, eq=False)
class Verdict:
    """An episode's measures (None: nothing to judge), the reasons for dropping it, its worst frame.

    visible: by name of each commanded hand and object its mean visible share; others: see
    Thresholds. reasons: empty if it passes; image [H, 2 W, 3]: the worst frame, without and with
    marks (`marked`).
    """

    episode: str
    hand_error: float | None
    hand_misses: float | None
    silhouette: float | None
    reasons: tuple[str, ...]
    image: NDArray[np.uint8]
    hand_silhouette: float | None = None
    visible: dict[str, float] = field(default_factory=dict)
    unseen: float | None = None
    inside: float | None = None
    penetration: float | None = None
    untouched: float | None = None
    empty: float | None = None
    open: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The verdict without its image, as JSON."""
        names = ('episode', *asdict(Thresholds()), 'reasons')
        fields = {name: getattr(self, name) for name in names}
        rounded = {k: round(v, 4) for k, v in fields.items() if isinstance(v, float)}
        shares = {name: round(share, 4) for name, share in self.visible.items()}
        return {**fields, **rounded, 'visible': shares, 'kept': not self.reasons}


def judge(
    path: Path,
    estimator: Estimator,
    thresholds: Thresholds = Thresholds(),
    images: str = IMAGES,
    robot: RecordedRobot | None = None,
) -> Verdict:
    """Judge an episode with labels; images: topic of its frames. robot: that of an episode which
    shows one; no hands are estimated then. Raises EpisodeError for one without labels, and for one
    without its camera.
    """
    episode = Episode(path, Topics(images))
    keypoints, masks = episode.keypoints(), episode.masks()
    motion = motion_of(episode, robot)
    seen, (contact, wrong) = views(episode, motion), contact_of(motion)
    claims = {int(np.abs(episode.stamps_ns - stamp).argmin()): tips for stamp, tips in wrong}
    chosen = spread(len(episode), FRAMES)
    errors: list[float] = []
    overlaps: list[float] = []
    hand_overlaps: list[float] = []
    worst, farthest = -1.0, None
    # Frames of other generators have backgrounds of their own: their silhouettes are not judged.
    backgrounds: Iterator[NDArray[np.uint8] | None] = (
        episode.backgrounds() if episode.has_backgrounds else repeat(None, len(episode))
    )
    for index, (image, background) in enumerate(zip(episode.images(), backgrounds, strict=True)):
        off = [0.0]
        if index in chosen:
            mask = masks[index]
            points = keypoints[index]
            hands = hand_errors(image, points, estimator) if robot is None else []
            objects = np.isin(mask, OBJECT)
            for wanted, found in (
                (objects, overlaps),
                ((mask > 0) & ~objects, hand_overlaps),
            ):
                if background is None:
                    continue
                overlap = silhouette(image, background, wanted, (mask > 0) & ~wanted)
                found += [] if overlap is None else [overlap]
                off += [] if overlap is None else [1 - overlap]
            errors += hands
            off += [1.0 if np.isnan(e) else e for e in hands]
        if index in seen:
            off.append(1.0 if seen[index].inside or _is_unseen(seen[index]) else 0.0)
        if index in claims:
            off.append(1.0)
        if max(off) > worst:
            worst = max(off)
            farthest = image, keypoints[index], masks[index], seen.get(index), index
    found_errors = [error for error in errors if not np.isnan(error)]
    commanded = [view for view in seen.values() if view.hands]
    figures = {
        'hand_error': _mean(found_errors),
        'hand_misses': 1 - len(found_errors) / len(errors) if errors else None,
        'silhouette': _mean(overlaps),
        'hand_silhouette': _mean(hand_overlaps),
        'unseen': _mean([float(_is_unseen(view)) for view in commanded]),
        'inside': _mean([float(bool(view.inside)) for view in seen.values()]),
        **contact,
    }
    names = dict.fromkeys(name for view in seen.values() for name in view.shares)
    visible = {
        name: float(np.mean([v.shares[name] for v in seen.values() if name in v.shares]))
        for name in names
    }
    assert farthest is not None
    reasons = tuple(_reasons(figures, visible, thresholds))
    shown, points, visible_layers, view, index = farthest
    points = points if robot is None else points[:0]
    camera = motion.camera_at(int(episode.stamps_ns[index]))
    assert camera is not None
    tips = camera.project(claims[index])[0] if index in claims else np.zeros((0, 2))
    worst_frame = marked(shown, points, visible_layers, estimator, view, tips)
    return Verdict(
        episode.name, **figures, visible=visible, reasons=reasons, image=worst_frame
    )  # fmt: skip


def motion_of(episode: Episode, robot: RecordedRobot | None = None) -> Motion:
    """The poses and the camera of an episode's images. Raises EpisodeError without the camera."""
    motion = load_motion(episode.reader, episode.camera_topic, robot=robot)
    return shaped_for(motion, 'default')


def views(episode: Episode, motion: Motion) -> dict[int, Seen]:
    """What the camera sees, by index of frames that are spread over an episode."""
    assert motion.camera is not None
    visibility = Visibility(motion, motion.camera.width, motion.camera.height)
    found = {}
    for index in sorted(spread(len(episode), VIEWS)):
        stamp = int(episode.stamps_ns[index])
        camera = motion.camera_at(stamp)
        assert camera is not None
        robots = motion.robots_at(stamp)
        found[index] = visibility.of(motion.interpolate_at(stamp), camera, robots)
    return found


def contact_of(motion: Motion) -> tuple[dict[str, float | None], list[tuple[int, Array]]]:
    """Penetration and shares of untouched, empty and open frames (Thresholds), in frames spread
    over a motion; None for each without objects.

    With the stamps of frames in which a gripper's state is not that of the scene, and the world
    points [K, 3] of its tips.
    """
    if not motion.objects or not (motion.hands or motion.robots):
        return dict.fromkeys(('penetration', 'untouched', 'empty', 'open')), []
    contacts, moving, grips = Contacts(motion), carried(motion), Grips(motion)
    deepest, alone = 0.0, []
    claims, wrong = [], []
    for index in sorted(spread(len(motion), VIEWS)):
        touches = contacts.of(motion.frame(index), motion.robots_in(index))
        deepest = max([deepest, *(touch.depth for touch in touches.values())])
        alone += [
            float(not touches[name].touching)
            for name in moving
            if moving[name][index] and name in touches
        ]
        claims.append(grips.of(index, contacts))
        if len(claims[-1].tips):
            wrong.append((int(motion.stamps_ns[index]), claims[-1].tips))
    return {
        'penetration': deepest,
        'untouched': _mean(alone),
        'empty': _mean([float(claim.empty) for claim in claims if claim.empty is not None]),
        'open': _mean([float(claim.open) for claim in claims if claim.open is not None]),
    }, wrong


def spread(frames: int, count: int) -> set[int]:
    """Up to `count` indexes of frames, evenly spread, with the first and the last."""
    return {*np.linspace(0, frames - 1, min(count, frames)).round().astype(int).tolist()}


def _is_unseen(view: Seen) -> bool:
    """Whether hands are commanded in a frame and none is visible."""
    return bool(view.hands) and max(view.hands.values()) < HARDLY


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def hand_errors(
    image: NDArray[np.uint8], keypoints: NDArray[np.void], estimator: Estimator
) -> list[float]:
    """The error of each judged hand relative to its size; NaN for a miss."""
    out = []
    for points in _judged(keypoints):
        seen = estimator.on_crop(image, crop_of_keypoints(points))
        error = aligned_error(seen.keypoints, points) / hand_size(points)
        out.append(error if seen.found else np.nan)
    return out


def marked(
    image: NDArray[np.uint8],  # [H, W, 3]
    keypoints: NDArray[np.void],
    mask: NDArray[np.uint8],  # [H, W], of the visible layers
    estimator: Estimator,
    view: Seen | None = None,
    tips: NDArray[np.floating] | None = None,  # [K, 2] pixels
) -> NDArray[np.uint8]:
    """A frame without and with marks side by side, [H, 2 W, 3].

    Commanded hands are green, visible or not, estimated ones red, the visible object's outline is
    yellow; silhouettes of commanded hands and objects are blue, as they would be without others. A
    red line connects the tips of a gripper whose state is not that of the scene.
    """
    drawn = image.copy()
    for silhouette in view.outlines.values() if view else ():
        size = (image.shape[1], image.shape[0])
        whole = cv2.resize(silhouette.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        _draw_outline(drawn, np.asarray(whole), (60, 120, 255))
    _draw_outline(drawn, np.isin(mask, OBJECT).astype(np.uint8), (255, 220, 0))
    if tips is not None and len(tips) > 1:
        line = np.round(np.clip(tips, -10_000, 10_000)).astype(np.int32)
        cv2.polylines(drawn, [line], False, (255, 40, 40), 2, cv2.LINE_AA)
    for points in _commanded(keypoints):
        _draw_hand(drawn, points, (0, 220, 0))
    for points in _judged(keypoints):
        seen = estimator.on_crop(image, crop_of_keypoints(points))
        if seen.found:
            _draw_hand(drawn, seen.keypoints, (255, 40, 40))
    return np.concatenate([image, drawn], 1)


def _commanded(keypoints: NDArray[np.void]) -> list[NDArray[np.float64]]:
    """Pixels [21, 2] of each hand before the camera."""
    hands = [keypoints[keypoints['side'] == side] for side in np.unique(keypoints['side'])]
    pixels = [np.stack([own['u'], own['v']], 1).astype(np.float64) for own in hands]
    before = [bool((own['z'] > 0).all()) for own in hands]
    return [points for points, seen in zip(pixels, before, strict=True) if seen]


def _judged(keypoints: NDArray[np.void]) -> list[NDArray[np.float64]]:
    """Pixels [21, 2] of each hand that is visible and large enough to be judged."""
    out = []
    for side in np.unique(keypoints['side']):
        own = keypoints[keypoints['side'] == side]
        points = np.stack([own['u'], own['v']], 1).astype(np.float64)
        if own['visible'].sum() >= SEEN and hand_size(points) >= SMALLEST:
            out.append(points)
    return out


def _draw_outline(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], colour: tuple[int, int, int]
) -> None:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, outlines, -1, colour, 1)


def _draw_hand(
    image: NDArray[np.uint8], points: NDArray[np.floating], colour: tuple[int, int, int]
) -> None:
    # Beyond these bounds OpenCV's fixed-point coordinates overflow.
    pixels = np.round(np.clip(points, -10_000, 10_000)).astype(int)
    for first, last in SKELETON:
        a, b = pixels[first - 1].tolist(), pixels[last - 1].tolist()
        cv2.line(image, a, b, colour, 1, cv2.LINE_AA)


def silhouette(
    image: NDArray[np.uint8],  # [H, W, 3]
    background: NDArray[np.uint8],  # [H, W, 3]
    wanted: NDArray[np.bool_],  # [H, W], the visible mask of the object or of the hands
    others: NDArray[np.bool_],  # [H, W], of what else covers the background
) -> float | None:
    """Intersection over union of the foreground near a mask and the mask.

    Others are excluded. None if too little is visible.
    """
    if wanted.sum() < LEAST_AREA:
        return None
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * AROUND + 1, 2 * AROUND + 1))
    excluded = cv2.dilate(others.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    near = (cv2.dilate(wanted.astype(np.uint8), disc) > 0) & ~excluded
    foreground = near & (np.abs(image.astype(np.int16) - background).max(-1) > CONTRAST)
    own = wanted & near
    return float((foreground & own).sum() / max((foreground | own).sum(), 1))


def _reasons(
    figures: dict[str, float | None], visible: dict[str, float], worst: Thresholds
) -> list[str]:
    out = []
    limits = asdict(worst)
    for name, value in figures.items():
        if value is None:
            continue
        if name.endswith('silhouette'):
            if value < limits[name]:
                out.append(f'{name} {value:.3f} is below {limits[name]:g}')
        elif value > limits[name]:
            out.append(f'{name} {value:.3f} is above {limits[name]:g}')
    out += [
        f'visible {share:.3f} of {name} is below {worst.visible:g}'
        for name, share in visible.items()
        if share < worst.visible
    ]
    return out
