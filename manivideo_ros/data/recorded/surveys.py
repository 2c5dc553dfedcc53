"""The checks of each dataset: is all there that its clips need, and is it whole?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from manivideo_ros.data.recorded import arctic, dexycb, ho_cap
from manivideo_ros.data.recorded.dexycb_splits import SEQUENCES, SETUPS, SUBSETS, views
from manivideo_ros.data.recorded.files import folders, read_npz
from manivideo_ros.data.recorded.hands import PublishedMano, keypoints_in_world
from manivideo_ros.data.recorded.survey import AGREE, Survey, joint_error
from manivideo_ros.hand.model import SIDES, Side

Mano = Mapping[Side, PublishedMano] | None


def survey_dexycb(root: Path, mano: Mano, hands: Path | None) -> Survey:
    """DexYCB; with MANO, its poses against the labels' joint_3d."""
    survey = Survey()
    names, meshes, frames, pictures, present = dexycb.sequences(root), set(), 0, 0, 0
    sides: set[str] = set()
    compared = False
    for name in names:
        opened: list[dexycb.Sequence] = []
        if not survey.attempt(lambda name=name, to=opened: to.append(dexycb.Sequence(root, name))):
            continue
        found = opened[0]
        frames += found.frames
        sides |= set(found.sides)
        meshes |= {found.mesh(label) for label in found.objects.tolist()}
        whole = survey.attempt(found.poses)
        if whole:
            present += int(found.poses()['pose_m'].any(2).sum())
        for serial in found.serials:
            whole &= survey.attempt(lambda found=found, serial=serial: found.camera(serial))
            patterns = ('color_%06d.jpg', 'labels_%06d.npz')
            pictures += survey.check_frames(found.folder / serial, found.frames, patterns)
        if whole and mano and hands and not compared:
            compared = survey.attempt(
                lambda found=found: _compare_dexycb(survey, found, mano, hands)
            )
    survey.facts.insert(0, f'sequences: {len(names)}, {frames} frames, {pictures} pictures')
    survey.facts.append(f'hands: {", ".join(sorted(sides)) or "none"}, in {present} frames')
    survey.check_models(meshes)
    survey.facts.append(_splits(root))
    return survey


def survey_ho_cap(root: Path, mano: Mano, hands: Path | None) -> Survey:
    """HO-Cap; with MANO, its poses against the labels' joints, with both mean poses."""
    survey = Survey()
    names, meshes, frames, pictures = ho_cap.sequences(root), set(), 0, 0
    present = dict.fromkeys(SIDES, 0)
    compared = False
    for name in names:
        opened: list[ho_cap.Sequence] = []
        if not survey.attempt(lambda name=name, to=opened: to.append(ho_cap.Sequence(root, name))):
            continue
        found = opened[0]
        frames += found.frames
        meshes |= {found.mesh(each) for each in found.objects}
        whole = survey.attempt(found.hand_poses)
        if whole:
            for side in found.sides:
                there = ~(found.hand_poses()[ho_cap.ROWS[side]] == -1).all(1)
                present[side] += int(there.sum())
        whole &= survey.attempt(found.object_poses) & survey.attempt(found.betas)
        for serial in found.serials:
            whole &= survey.attempt(lambda found=found, serial=serial: found.camera(serial))
            patterns = ('color_%06d.jpg', 'label_%06d.npz')
            pictures += survey.check_frames(found.folder / serial, found.frames, patterns)
        if whole and mano and hands and not compared:
            compared = survey.attempt(
                lambda found=found: _compare_ho_cap(survey, found, mano, hands)
            )
    survey.facts.insert(0, f'sequences: {len(names)}, {frames} frames, {pictures} pictures')
    counts = ', '.join(f'{side} in {count} frames' for side, count in present.items())
    survey.facts.append(f'hands: {counts}')
    survey.check_models(meshes)
    return survey


def survey_arctic(root: Path, mano: Mano, hands: Path | None) -> Survey:
    """ARCTIC; it has no joints to hold MANO's against."""
    survey = Survey()
    names, meshes, frames = arctic.sequences(root), set(), 0
    pictured: dict[int, int] = {}
    present = dict.fromkeys(SIDES, 0)
    for name in names:
        opened: list[arctic.Sequence] = []
        if not survey.attempt(lambda name=name, to=opened: to.append(arctic.Sequence(root, name))):
            continue
        found = opened[0]
        frames += len(found)
        meshes |= {found.mesh(part) for part in ('top', 'bottom')}
        for side in SIDES:
            read: list[dict[str, np.ndarray]] = []
            if survey.attempt(lambda f=found, s=side, to=read: to.append(f.hand(s))):
                present[side] += int(np.isfinite(read[0]['rot']).all(1).sum())
        for view in range(arctic.VIEWS):
            seen: list[arctic.View] = []
            if not survey.attempt(lambda f=found, v=view, to=seen: to.append(f.view(v))):
                continue
            if seen[0].folder.is_dir():
                files = {file.name for file in seen[0].folder.glob('*.jpg')}
                wanted = [seen[0].picture_file(frame).name for frame in range(len(found))]
                there = sum(each in files for each in wanted)
                pictured[view] = pictured.get(view, 0) + there
                if there < len(found):
                    survey.faults.append(
                        f'{seen[0].folder}: {len(found) - there} of {len(found)} annotated frames'
                        ' have no picture: those frames are left out'
                    )
    survey.facts.insert(0, f'sequences: {len(names)}, {frames} frames')
    told = ', '.join(f'view {view}: {count}' for view, count in sorted(pictured.items()))
    survey.facts.append(f'pictures: {told or "none"}')
    if not pictured and names:
        survey.faults.append(f'{root / "images"}: no pictures: get `images` of the dataset too')
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
) -> None:
    serial = found.serials[0]
    clip = dexycb.read_clip(found.root, found.name, serial, mano)
    for k, side in enumerate(found.sides):
        for index in np.flatnonzero(clip.motion.hands[side].present)[:1].tolist():
            file, shape = found.labels_file(serial, index), (len(found.sides), 21, 3)
            joints = read_npz(file, {'joint_3d': shape})['joint_3d'][k]
            world = keypoints_in_world(joints, clip.camera.camera_from_world)
            error = joint_error(clip, side, index, world, hands)
            _tell(survey, f'{file}: {side} joints', error)


def _compare_ho_cap(
    survey: Survey, found: ho_cap.Sequence, mano: Mapping[Side, PublishedMano], hands: Path
) -> None:
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


def _tell(survey: Survey, text: str, error: float) -> None:
    if error <= AGREE:
        survey.facts.append(f'{text} {1000 * error:.1f} mm from the labels')
    else:
        survey.faults.append(
            f'{text} {1000 * error:.1f} mm from the labels: these are not the MANO files,'
            ' or not the conventions, that the dataset was made with'
        )
