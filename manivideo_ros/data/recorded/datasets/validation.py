"""Validates the published datasets: are all files of their clips there, and are they whole?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from manivideo_ros.data.findings import Findings
from manivideo_ros.data.recorded.clip import RecordedClip
from manivideo_ros.data.recorded.datasets import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.datasets.dexycb_splits import SEQUENCES, SETUPS, SUBSETS, views
from manivideo_ros.data.recorded.files import folders
from manivideo_ros.data.recorded.hands import PublishedMano, keypoints_in_world
from manivideo_ros.hand.lbs import lbs
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.state import SIDES, Side

# The published 21 keypoints that are MANO's 16 joints, in MANO's order.
JOINTS = [0, 5, 6, 7, 9, 10, 11, 17, 18, 19, 13, 14, 15, 1, 2, 3]
AGREE = 0.006  # metres: the corrected shape of a left hand is off by a few millimetres

Mano = Mapping[Side, PublishedMano] | None
Sequence = dexycb.Sequence | ho_cap.Sequence


def validate_dexycb(root: Path, mano: Mano, hands: Path | None) -> Findings:
    """Validate DexYCB; with MANO, compare its poses with the labels' joint_3d."""

    def compare(found: dexycb.Sequence, mano: Mapping[Side, PublishedMano], hands: Path) -> bool:
        serial = found.serials[0]
        clip = dexycb.read_clip(found.root, found.name, serial, mano)
        for text, error in _joint_errors(found, serial, clip, hands):
            _report(findings, text, error)
        return True

    findings = Findings()
    _validate_sequences(findings, dexycb, root, (), compare, mano, hands)
    findings.facts.append(_splits(root))
    return findings


def validate_ho_cap(root: Path, mano: Mano, hands: Path | None) -> Findings:
    """Validate HO-Cap; with MANO, compare its poses with the labels' joints for both mean poses."""

    def compare(found: ho_cap.Sequence, mano: Mapping[Side, PublishedMano], hands: Path) -> bool:
        serial = found.serials[0]
        for flat in (ho_cap.FLAT_HAND_MEAN, not ho_cap.FLAT_HAND_MEAN):
            clip = ho_cap.read_clip(found.root, found.name, serial, mano, flat_hand_mean=flat)
            for text, error in _joint_errors(found, serial, clip, hands):
                within = AGREE if flat == ho_cap.FLAT_HAND_MEAN else np.inf
                _report(findings, f'{text} with flat_hand_mean={flat}', error, within)
        return True

    findings = Findings()
    also = ('object_poses', 'betas')
    _validate_sequences(findings, ho_cap, root, also, compare, mano, hands)
    return findings


def _validate_sequences(
    findings: Findings,
    dataset,  # the module dexycb or ho_cap
    root: Path,
    also: tuple[str, ...],
    compare: Callable[..., bool],
    mano: Mano,
    hands: Path | None,
) -> None:
    """Validate all sequences; also: methods of a sequence that read further files.

    compare: called with MANO for the first complete sequence.
    """
    names, frames, images, compared = dataset.sequences(root), 0, 0, False
    meshes: set[Path] = set()
    present: dict[Side, int] = dict.fromkeys(SIDES, 0)
    for name in names:
        found = findings.attempt(dataset.Sequence, root, name)
        if found is None:
            continue
        frames += found.frames
        meshes |= set(found.meshes().values())
        presence = findings.attempt(found.presence)
        for side, there in (presence or {}).items():
            present[side] += int(there.sum())
        whole = presence is not None
        for method in also:
            whole &= findings.attempt(getattr(found, method)) is not None
        for serial in found.serials:
            whole &= findings.attempt(found.camera, serial) is not None
            folder = found.folder / serial
            images += findings.check_frames(folder, found.frames, dataset.FILES)
        if whole and mano and hands and not compared:
            compared = bool(findings.attempt(compare, found, mano, hands))
    findings.facts.insert(0, f'sequences: {len(names)}, {frames} frames, {images} images')
    findings.facts.append(_hands(present))
    findings.check_models(meshes)


def validate_arctic(root: Path, mano: Mano, hands: Path | None) -> Findings:
    """Validate ARCTIC; it has no joints to compare MANO with."""
    findings = Findings()
    names, frames = arctic.sequences(root), 0
    meshes: set[Path] = set()
    imaged: dict[int, int] = {}
    present: dict[Side, int] = dict.fromkeys(SIDES, 0)
    for name in names:
        found = findings.attempt(arctic.Sequence, root, name)
        if found is None:
            continue
        frames += len(found)
        meshes |= {found.mesh(part) for part in ('top', 'bottom')}
        for side in SIDES:
            hand = findings.attempt(found.hand, side)
            present[side] += 0 if hand is None else int(np.isfinite(hand['rot']).all(1).sum())
        for number in range(arctic.VIEWS):
            view = findings.attempt(found.view, number)
            if view is None or not view.folder.is_dir():
                continue
            files = {file.name for file in view.folder.glob('*.jpg')}
            there = sum(view.image_file(frame).name in files for frame in range(len(found)))
            imaged[number] = imaged.get(number, 0) + there
            if there < len(found):
                findings.problems.append(
                    f'{view.folder}: {len(found) - there} of {len(found)} annotated frames'
                    ' have no image and are skipped: get the images again'
                )
    findings.facts.insert(0, f'sequences: {len(names)}, {frames} frames')
    counts = ', '.join(f'view {view}: {count}' for view, count in sorted(imaged.items()))
    findings.facts.append(f'images: {counts or "none"}')
    if not imaged and names:
        findings.problems.append(f'{root / "images"}: no images: get `images` of the dataset too')
    findings.facts.append(_hands(present))
    findings.check_models(meshes)
    return findings


def _hands(present: Mapping[Side, int]) -> str:
    return 'hands: ' + ', '.join(f'{side} in {count} frames' for side, count in present.items())


def _splits(root: Path) -> str:
    """The number of views in each published split."""
    subjects = [name for name in folders(root) if '-subject-' in name]
    short = [name for name in subjects if len(folders(root / name)) != SEQUENCES]
    if short:
        return f'splits: s1, s2 only; {short[0]} does not have all of its {SEQUENCES} sequences'
    counts = [
        f'{setup} ' + '/'.join(str(len(views(root, setup, subset))) for subset in SUBSETS)
        for setup in SETUPS
    ]
    return f'splits (views of {"/".join(SUBSETS)}): ' + ', '.join(counts)


def _joint_errors(
    found: Sequence, serial: str, clip: RecordedClip, hands: Path
) -> Iterator[tuple[str, float]]:
    """For each hand's first frame: what was compared, and the error in metres."""
    for side, row in found.rows.items():
        for index in np.flatnonzero(clip.motion.hands[side].present)[:1].tolist():
            joints = found.joints(serial, index)[row]
            world = keypoints_in_world(joints, clip.camera.camera_from_world)
            error = joint_error(clip, side, index, world, hands)
            yield f'{found.labels_file(serial, index)}: {side} joints', error


def _report(findings: Findings, text: str, error: float, within: float = AGREE) -> None:
    line = f'{text} {1000 * error:.1f} mm from the labels'
    if error <= within:
        findings.facts.append(line)
    else:
        findings.problems.append(
            f'{line}: the MANO files or their conventions differ from those of the dataset'
        )


def joint_error(
    clip: RecordedClip, side: str, frame: int, keypoints: np.ndarray, folder: Path
) -> float:
    """Mean distance (m) between a clip's MANO joints and published world keypoints [21, 3]."""
    track = clip.motion.hands[side]
    values = (track.theta, track.wrist_rotation, track.wrist_position)
    theta, turn, place = (torch.as_tensor(value[frame : frame + 1]) for value in values)
    hand = load_hand('left' if side == 'left' else 'right', folder / f'{side}.npz')
    with torch.no_grad():
        joints = lbs(hand, theta, torch.as_tensor(track.betas)[None], turn, place)[1][0].numpy()
    return float(np.linalg.norm(joints - keypoints[JOINTS], axis=1).mean())
