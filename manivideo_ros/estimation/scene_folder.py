"""A scene folder: background, hands and light of one camera, person and room.

`manivideo calibrate` makes it of a recording; nodes and commands take it as `scene`. It holds
background.png, hand_reference.png and hand_reference.parts.png; hand_skin.png and light.json where
the recording shows enough of the hand; hand_shape.json where the hands fit their outlines better in
a shape of their own; support_plane.json where an object lies on it. That of a recording of a robot
has robot.json, its colours, in place of the hand.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.camera.background import BACKGROUND as SHIPPED_BACKGROUND
from manivideo_ros.camera.background import load_background
from manivideo_ros.camera.light import Light
from manivideo_ros.camera.light_file import read_light, write_light
from manivideo_ros.camera.support import read_plane, write_plane
from manivideo_ros.estimation.hand_photo import hand_reference_of
from manivideo_ros.files.image_file import load_image
from manivideo_ros.geometry import Array
from manivideo_ros.hand.reference import HAND_REFERENCE as SHIPPED_HAND
from manivideo_ros.hand.reference import HandReference, parts_file
from manivideo_ros.hand.shape import HandShape, read_shape, write_shape
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.recolouring import Colours, read_colours, recoloured, write_colours

BACKGROUND, HAND, SKIN = 'background.png', 'hand_reference.png', 'hand_skin.png'
LIGHT, ROBOT = 'light.json', 'robot.json'
SHAPE, SUPPORT = 'hand_shape.json', 'support_plane.json'


def write_scene_folder(
    folder: Path,
    background: NDArray[np.uint8],  # [H, W, 3]
    hand: NDArray[np.uint8],  # [S, S, 3] around a hand
    parts: NDArray[np.uint8],  # [S, S] 1 skin, 2 nails, 3 sleeve
    skin: NDArray[np.uint8] | None,  # [T, T, 3] texture
    light: Light | None,
    shape: HandShape | None = None,
    support: Array | None = None,  # [4] plane in the camera's frame
) -> None:
    """Write a scene folder; what an earlier one held and this one lacks is removed.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(background).save(folder / BACKGROUND)
    Image.fromarray(hand).save(folder / HAND)
    Image.fromarray(parts).save(parts_file(folder / HAND))
    for name in (SKIN, LIGHT, ROBOT, SHAPE, SUPPORT):
        (folder / name).unlink(missing_ok=True)
    if skin is not None:
        Image.fromarray(skin).save(folder / SKIN)
    if light is not None:
        write_light(folder / LIGHT, light)
    if shape is not None:
        write_shape(folder / SHAPE, shape)
    if support is not None:
        write_plane(folder / SUPPORT, support)


def write_robot_scene(
    folder: Path,
    background: NDArray[np.uint8],  # [H, W, 3]
    robot: str,
    colours: Colours,
    light: Light,
) -> None:
    """Write the scene folder of a robot; what an earlier one held of hands is removed.

    Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(background).save(folder / BACKGROUND)
    for file in (parts_file(folder / HAND), *(folder / n for n in (HAND, SKIN, SHAPE, SUPPORT))):
        file.unlink(missing_ok=True)
    write_light(folder / LIGHT, light)
    write_colours(folder / ROBOT, robot, colours)


def scene_robot(scene: Path | None, model: RobotModel) -> RobotModel:
    """A robot in the scene folder's colours; as it is where the folder has none.

    Raises ValueError that names the file, for one of another robot too.
    """
    if scene is None or not (scene / ROBOT).is_file():
        return model
    name, colours = read_colours(scene / ROBOT)
    if name != model.name:
        raise ValueError(f'{scene / ROBOT}: of the robot {name!r}, shown is {model.name!r}')
    return recoloured(model, colours)


def scene_background(scene: Path | None, given: Path | None) -> NDArray[np.uint8]:
    """The background [H, W, 3]: the given file, else the scene folder's, else the shipped one.

    Raises ValueError that names the file.
    """
    return load_background(given or _of(scene, BACKGROUND) or SHIPPED_BACKGROUND)


def scene_hand(scene: Path | None, given: Path | None) -> HandReference:
    """The hand reference, likewise; the scene folder's has its skin texture.

    A robot's scene folder has none. Raises ValueError and EstimatorError.
    """
    if scene is not None and (scene / ROBOT).is_file():
        scene = None
    reference = hand_reference_of(given or _of(scene, HAND) or SHIPPED_HAND)
    if given is not None or scene is None or not (scene / SKIN).is_file():
        return reference
    return replace(reference, skin=np.ascontiguousarray(load_image(scene / SKIN)[..., :3]))


def scene_light(scene: Path | None, given: Path | None) -> Light | None:
    """The calibrated light of the scene folder; None without, or with another hand reference.

    Raises ValueError that names the file.
    """
    if given is not None or scene is None or not (scene / LIGHT).is_file():
        return None
    return read_light(scene / LIGHT)


def scene_shape(scene: Path | None, given: Path | None) -> HandShape | None:
    """The calibrated shape of the hands; None without, or with another hand reference.

    Raises ValueError that names the file.
    """
    if given is not None or scene is None or not (scene / SHAPE).is_file():
        return None
    return read_shape(scene / SHAPE)


def scene_support(scene: Path | None, given: Path | None) -> Array | None:
    """The support plane [4] in the camera's frame; None without, or with another background.

    Raises ValueError that names the file.
    """
    if given is not None or scene is None or not (scene / SUPPORT).is_file():
        return None
    return read_plane(scene / SUPPORT)


def scene_sha256(scene: Path) -> str:
    """The hash of what a scene folder says of hands, robot, light and support.

    Raises ValueError without a hand or a robot.
    """
    robot = scene / ROBOT
    digest = sha256((robot if robot.is_file() else _hand(scene)).read_bytes())
    for file in (parts_file(scene / HAND), scene / SKIN, scene / LIGHT):
        digest.update(sha256(file.read_bytes()).digest() if file.is_file() else b'none')
    for file in (scene / SHAPE, scene / SUPPORT):  # folders of earlier releases have neither
        digest.update(sha256(file.read_bytes()).digest() if file.is_file() else b'')
    return digest.hexdigest()


def _hand(scene: Path) -> Path:
    found = _of(scene, HAND)
    assert found is not None  # only without a scene
    return found


def _of(scene: Path | None, name: str) -> Path | None:
    if scene is None:
        return None
    if not (scene / name).is_file():
        raise ValueError(f'{scene}: no {name}: make a scene folder with manivideo calibrate')
    return scene / name
