"""The hand model of a variation, and its shape."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from manivideo_ros.bags.bag import BagReader
from manivideo_ros.estimation.scene_folder import scene_shape
from manivideo_ros.hand.load import load_hand
from manivideo_ros.hand.model import HandModel
from manivideo_ros.hand.state import SIDES
from manivideo_ros.messages.names import HANDS
from manivideo_ros.motion.files import topics_by_type
from manivideo_ros.motion.motion import Motion, in_shape, shaped_for


def hands_of(folder: str) -> dict[str, HandModel]:
    """The hands by side of a folder of `manivideo convert-mano`; '' for the default hand.

    Raises HandFileError (a ValueError).
    """
    return {side: load_hand(side, _file(folder, side) if folder else None) for side in SIDES}


def files_sha256(folder: str) -> str:
    """The hash of a folder's hands; '' for the default hand. Raises OSError."""
    if not folder:
        return ''
    files = [_file(folder, side).read_bytes() for side in SIDES]
    return hashlib.sha256(b''.join(hashlib.sha256(file).digest() for file in files)).hexdigest()


def shown_motion(motion: Motion, model: str, scene: str) -> Motion:
    """The motion for a hand model, in the shape of a scene folder ('' for none) where it has none.

    Raises ValueError for a damaged folder.
    """
    motion, shape = shaped_for(motion, model), scene_shape(Path(scene) if scene else None, None)
    return motion if shape is None else in_shape(motion, shape)


def hands_provenance(recorded: Motion, shown: Motion) -> dict[str, Any]:
    """The hand models recorded and shown, and the betas, as JSON for the provenance."""
    betas = {
        side: np.round(track.betas.astype(float), 6).tolist() for side, track in shown.hands.items()
    }
    return {'recorded_model': recorded.hand_model, 'model': shown.hand_model, 'betas': betas}


def warnings_of(
    name: str, recorded: Motion, reader: BagReader, model: str, scene: str = ''
) -> list[str]:
    """How a recording's hands are shown differently, one line each; reader: of its bag."""
    shape = scene_shape(Path(scene) if scene else None, None)
    if shape is not None and shape.model != model:
        other = f'{scene}: its hand shape is of the model {shape.model!r}, not {model!r}: not used'
        return [other, *warnings_of(name, recorded, reader, model)]
    if recorded.hand_model == model:
        return [
            f'{name}: the betas of the {side} hand change: the last ones are used for all frames'
            for side in sorted(_changing(reader))
        ]
    if not any(track.betas.any() for track in recorded.hands.values()):
        return []
    fix = 'pass its folder as --hand-folder' if model == 'default' else 'omit --hand-folder'
    return [
        f'{name}: its betas are of the hand model {recorded.hand_model!r}; {model!r} is used, with '
        f'zeros: {fix} for the recorded shape'
    ]


def _changing(reader: BagReader) -> set[str]:
    """The sides of hands whose betas differ between messages."""
    found: dict[str, set[bytes]] = {side: set() for side in SIDES}
    for record in reader.messages(topics_by_type(reader).get(HANDS, [])):
        for hand in reader.decoded(record).hands:
            if hand.confidence > 0 and len(hand.betas):
                found[SIDES[hand.side]].add(hand.betas.tobytes())
    return {side for side, shapes in found.items() if len(shapes) > 1}


def _file(folder: str, side: str) -> Path:
    return Path(folder) / f'{side}.npz'
