"""The checks of each dataset: is all there that its clips need, and is it whole?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from manivideo_ros.data.recorded.datasets import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.datasets.dexycb_splits import SEQUENCES, SETUPS, SUBSETS, views
from manivideo_ros.data.recorded.files import folders, read_npz
from manivideo_ros.data.recorded.hands import PublishedMano, keypoints_in_world
from manivideo_ros.data.recorded.survey import AGREE, Survey, joint_error
from manivideo_ros.hand.state import SIDES, Side

Mano = Mapping[Side, PublishedMano] | None


def survey_dexycb(root: Path, mano: Mano, hands: Path | None) -> Survey:
    """DexYCB; with MANO, its poses against the labels' joint_3d."""
    survey = Survey()
    names, frames, images, present = dexycb.sequences(root), 0, 0, 0
    meshes: set[Path] = set()
    sides: set[str] = set()
    compared = False
    for name in names:
        found = survey.attempt(dexycb.Sequence, root, name)
        if found is None:
            continue
        frames += found.frames
        sides |= set(found.sides)
        meshes |= {found.mesh(label) for label in found.objects.tolist()}
        poses = survey.attempt(found.poses)
        present += 0 if poses is None else int(poses['pose_m'].any(2).sum())
        whole = poses is not None
        for serial in found.serials:
            whole &= survey.attempt(found.camera, serial) is not None
            patterns = ('color_%06d.jpg', 'labels_%06d.npz')
            images += survey.check_frames(found.folder / serial, found.frames, patterns)
        if whole and mano and hands and not compared:
            compared = bool(survey.attempt(_compare_dexycb, survey, found, mano, hands))
    survey.facts.insert(0, f'sequences: {len(names)}, {frames} frames, {images} images')
    survey.facts.append(f'hands: {", ".join(sorted(sides)) or "none"}, in {present} frames')
    survey.check_models(meshes)
    survey.facts.append(_splits(root))
    return survey


def survey_ho_cap(root: Path, mano: Mano, hands: Path | None) -> Survey:
    """HO-Cap; with MANO, its poses against the labels' joints, with both mean poses."""
    survey = Survey()
    names, frames, images = ho_cap.sequences(root), 0, 0
    meshes: set[Path] = set()
    present: dict[Side, int] = dict.fromkeys(SIDES, 0)
    compared = False
    for name in names:
        found = survey.attempt(ho_cap.Sequence, root, name)
        if found is None:
            continue
        frames += found.frames
        meshes |= {found.mesh(each) for each in found.objects}
        poses = survey.attempt(found.hand_poses)
        if poses is not None:
            for side in found.sides:
                present[side] += int((~(poses[ho_cap.ROWS[side]] == -1).all(1)).sum())
        whole = poses is not None
        whole &= survey.attempt(found.object_poses) is not None
        whole &= survey.attempt(found.betas) is not None
        for serial in found.serials:
            whole &= survey.attempt(found.camera, serial) is not None
            patterns = ('color_%06d.jpg', 'label_%06d.npz')
            images += survey.check_frames(found.folder / serial, found.frames, patterns)
        if whole and mano and hands and not compared:
            compared = bool(survey.attempt(_compare_ho_cap, survey, found, mano, hands))
    survey.facts.insert(0, f'sequences: {len(names)}, {frames} frames, {images} images')
    counts = ', '.join(f'{side} in {count} frames' for side, count in present.items())
    survey.facts.append(f'hands: {counts}')
    survey.check_models(meshes)
    return survey


def survey_arctic(root: Path, mano: Mano, hands: Path | None) -> Survey:
    """ARCTIC; it has no joints to hold MANO's against."""
    survey = Survey()
    names, frames = arctic.sequences(root), 0
    meshes: set[Path] = set()
    imaged: dict[int, int] = {}
    present: dict[Side, int] = dict.fromkeys(SIDES, 0)
    for name in names:
        found = survey.attempt(arctic.Sequence, root, name)
        if found is None:
            continue
        frames += len(found)
        meshes |= {found.mesh(part) for part in ('top', 'bottom')}
        for side in SIDES:
            hand = survey.attempt(found.hand, side)
            present[side] += 0 if hand is None else int(np.isfinite(hand['rot']).all(1).sum())
        for number in range(arctic.VIEWS):
            view = survey.attempt(found.view, number)
            if view is None or not view.folder.is_dir():
                continue
            files = {file.name for file in view.folder.glob('*.jpg')}
            there = sum(view.image_file(frame).name in files for frame in range(len(found)))
            imaged[number] = imaged.get(number, 0) + there
            if there < len(found):
                survey.faults.append(
                    f'{view.folder}: {len(found) - there} of {len(found)} annotated frames'
                    ' have no image: those frames are left out'
                )
    survey.facts.insert(0, f'sequences: {len(names)}, {frames} frames')
    told = ', '.join(f'view {view}: {count}' for view, count in sorted(imaged.items()))
    survey.facts.append(f'images: {told or "none"}')
    if not imaged and names:
        survey.faults.append(f'{root / "images"}: no images: get `images` of the dataset too')
    counts = ', '.join(f'{side} in {count} frames' for side, count in present.items())
    survey.facts.append(f'hands: {counts}')
    survey.check_models(meshes)
    return survey


def _splits(root: Path) -> str:
    """How many views each published split has of what is there."""
    subjects = [name for name in folders(root) if '-subject-' in name]
    short = [name for name in subjects if len(folders(root / name)) != SEQUENCES]
    if short:
        return f'splits: s1, s2 only; {short[0]} has not all of its {SEQUENCES} sequences'
    counts = [
        f'{setup} ' + '/'.join(str(len(views(root, setup, subset))) for subset in SUBSETS)
        for setup in SETUPS
    ]
    return f'splits (views of {"/".join(SUBSETS)}): ' + ', '.join(counts)


def _compare_dexycb(
    survey: Survey, found: dexycb.Sequence, mano: Mapping[Side, PublishedMano], hands: Path
) -> bool:
    serial = found.serials[0]
    clip = dexycb.read_clip(found.root, found.name, serial, mano)
    for k, side in enumerate(found.sides):
        for index in np.flatnonzero(clip.motion.hands[side].present)[:1].tolist():
            file, shape = found.labels_file(serial, index), (len(found.sides), 21, 3)
            joints = read_npz(file, {'joint_3d': shape})['joint_3d'][k]
            world = keypoints_in_world(joints, clip.camera.camera_from_world)
            error = joint_error(clip, side, index, world, hands)
            _tell(survey, f'{file}: {side} joints', error)
    return True


def _compare_ho_cap(
    survey: Survey, found: ho_cap.Sequence, mano: Mapping[Side, PublishedMano], hands: Path
) -> bool:
    serial = found.serials[0]
    for flat in (ho_cap.FLAT_HAND_MEAN, not ho_cap.FLAT_HAND_MEAN):
        clip = ho_cap.read_clip(found.root, found.name, serial, mano, flat_hand_mean=flat)
        for side in found.sides:
            for index in np.flatnonzero(clip.motion.hands[side].present)[:1].tolist():
                file = found.labels_file(serial, index)
                joints = read_npz(file, {'hand_joints_3d': (2, 21, 3)})['hand_joints_3d']
                row = joints[ho_cap.ROWS[side]]
                world = keypoints_in_world(row, clip.camera.camera_from_world)
                error = joint_error(clip, side, index, world, hands)
                text = f'{file}: {side} joints with flat_hand_mean={flat}'
                if flat == ho_cap.FLAT_HAND_MEAN:
                    _tell(survey, text, error)
                else:
                    survey.facts.append(f'{text} {1000 * error:.1f} mm from the labels')
    return True


def _tell(survey: Survey, text: str, error: float) -> None:
    if error <= AGREE:
        survey.facts.append(f'{text} {1000 * error:.1f} mm from the labels')
    else:
        survey.faults.append(
            f'{text} {1000 * error:.1f} mm from the labels: these are not the MANO files,'
            ' or not the conventions, that the dataset was made with'
        )
