"""`manivideo calibrate --robot`: the scene folder of a recording of a robot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from manivideo_ros.augment.kept_background import images_topics, recorded_plate
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.camera.crop import Crop
from manivideo_ros.camera.light import Light
from manivideo_ros.data.recorded.background import Background
from manivideo_ros.drawing.base_image import UNLIT, Painter, robot_material
from manivideo_ros.drawing.lighting.light_maps import LightMaps
from manivideo_ros.drawing.lighting.lit_base import LitBase
from manivideo_ros.drawing.views import fine_material
from manivideo_ros.estimation.scene_folder import write_robot_scene
from manivideo_ros.evaluation.measures.image import masked_squared_error, psnr_db
from manivideo_ros.evaluation.photographs.robot_look import LookSamples
from manivideo_ros.evaluation.sheets import contact_sheet, spread_indices
from manivideo_ros.geometry import Camera
from manivideo_ros.mlo.posed_surfaces import PosedSurfaces
from manivideo_ros.mlo.rasterizer import Rasterizer
from manivideo_ros.mlo.surfaces import SurfacePose, object_surface, robot_surface
from manivideo_ros.motion.files import load_motion
from manivideo_ros.motion.motion import Motion
from manivideo_ros.motion.robots.recorded import RecordedRobot
from manivideo_ros.motion.view import require_fixed_camera
from manivideo_ros.objects.mesh import ObjectMesh
from manivideo_ros.objects.named import load_mesh
from manivideo_ros.recording.episode import Episode, Topics
from manivideo_ros.robot.model import RobotModel
from manivideo_ros.robot.recolouring import recoloured

FRAMES, CHECKED, SHOWN = 60, 12, 4
"""Images that are used, of the last third that test the result, and that the report shows."""
OPTION = '--robot'


def calibrate_robot(path: Path, robot: RecordedRobot, out: Path, images: str, camera: str) -> None:
    """Write the scene folder of a robot's recording, with its report, and print what was found.

    images, camera: topics, '' for the only ones. Raises ValueError (one line) and OSError.
    """
    motion = load_motion(path, camera, robot=robot)
    if motion.camera is None:
        raise ValueError(f'{path}: no CameraInfo: record it, and /tf_static')
    require_fixed_camera(motion, f'calibrate {OPTION}')
    reader = BagReader(path)
    named = [[name] if name else [] for name in (images, camera)]
    (topic,) = images_topics(path, reader.topics, *named)
    meshes = {name: load_mesh(track.mesh, track.scale) for name, track in motion.objects.items()}
    plate = recorded_plate(reader, topic, motion, motion.camera, {}, meshes, camera)
    episode = Episode(path, Topics(topic))
    first = len(episode) - len(episode) // 3
    used = {*np.linspace(0, first - 1, min(FRAMES, first)).astype(int).tolist()}
    unused = [first + n for n in spread_indices(len(episode) - first, CHECKED)]
    behind = Background(plate.image, ~plate.never_seen)
    samples = LookSamples(robot.model, list(meshes.values()), motion.camera, behind)
    kept: dict[int, NDArray[np.uint8]] = {}
    for index, image in enumerate(episode.images()):
        robots, sample = _at(motion, int(episode.stamps_ns[index]))
        if robots is None:
            continue
        if index in used:
            samples.add(image, robots, [sample.get(name) for name in meshes])
        if index in unused:
            kept[index] = image.copy()
    look = samples.look()
    if look is None:
        raise ValueError(f'{path}: too little of the robot is seen in {topic}: is it the URDF, and '
                         'is its root on TF?')  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_robot_scene(out, plate.image, robot.model.name, look.colours, look.light)
    drawn = {
        'urdf': _LitRobot(robot.model, [*meshes.values()], motion.camera, plate.image, None),
        'calibrated': _LitRobot(
            recoloured(robot.model, look.colours), [*meshes.values()], motion.camera, plate.image,
            look.light,
        ),
    }  # fmt: skip
    rows: dict[str, list[NDArray[np.uint8]]] = {'recorded': [], **{name: [] for name in drawn}}
    errors: dict[str, list[float]] = {name: [] for name in drawn}
    for index, image in sorted(kept.items()):
        robots, sample = _at(motion, int(episode.stamps_ns[index]))
        rows['recorded'].append(image)
        for name, of in drawn.items():
            made, mask = of.draw([robots, *(sample.get(item) for item in meshes)])
            errors[name].append(masked_squared_error(made, image, mask))
            rows[name].append(made)
    report = {
        'recording': path.name,
        'robot': robot.model.name,
        'frames': len(episode),
        'background_seen': round(1 - float(plate.never_seen.mean()), 4),
        'colours': len(look.colours),
        'colours_seen': look.seen,
        'light_towards': np.round(look.light.towards, 3).tolist(),
        'psnr_of_unused_frames_db': {name: round(psnr_db(of), 2) for name, of in errors.items()},
    }
    (out / 'report.json').write_text(json.dumps(report, indent=1) + '\n')
    chosen = spread_indices(len(kept), min(SHOWN, len(kept)))
    Image.fromarray(
        contact_sheet({name: [of[n] for n in chosen] for name, of in rows.items()}, SHOWN)
    ).save(out / 'report_frames.png')
    for line in _lines(report):
        print(line)


def _at(motion: Motion, stamp_ns: int) -> tuple[SurfacePose, dict[str, Any]]:
    robots = motion.robots_at(stamp_ns)
    return next(iter(robots.values()), None), dict(motion.interpolate_at(stamp_ns).objects)


class _LitRobot:
    """Draws a robot in a light, without the network.

    light: in the camera's frame, None for one that leaves colours as they are.
    """

    def __init__(
        self,
        model: RobotModel,
        meshes: list[ObjectMesh],
        camera: Camera,
        background: NDArray[np.uint8],
        light: Light | None,
    ) -> None:
        to_world = camera.camera_from_world[:3, :3].T
        self._camera, self._light = camera, None if light is None else light.turned(to_world)
        surfaces = [robot_surface(model), *(object_surface(mesh) for mesh in meshes)]
        materials = [robot_material(model), *(fine_material(mesh) for mesh in meshes)]
        columns, rows = camera.width, camera.height
        self._seen = Rasterizer(surfaces, columns, rows, threads=1, merge=True)
        self._posed = PosedSurfaces(surfaces, threads=1)
        self._layers = Rasterizer(self._posed, columns, rows)
        self._visible = Rasterizer(self._posed, 2 * columns, 2 * rows, merge=True)
        self._painter = Painter(self._visible, materials, background, UNLIT)
        self._maps = LightMaps(self._posed, columns, rows)
        self._lit = LitBase(
            self._layers, self._maps, *self._painter.images, self._painter.background
        )

    def draw(self, poses: list[SurfacePose]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The image [H, W, 3] of robot and objects, and where the robot is seen [H, W]."""
        self._posed.write_state(self._camera, poses)
        self._posed.pose()
        for view in (self._layers, self._visible):
            view.write_view(self._camera)
        whole = Crop(0, 0, self._camera.width, self._camera.height)
        self._layers.draw()
        image = self._painter.draw()[0]
        if self._light is not None:
            self._maps.place(self._camera, whole, poses, self._light, None)
            self._maps.draw()
            image = self._lit.draw()
        face = self._seen.render(self._camera, poses).face_index[0].numpy()
        of_robot = (face >= 0) & (self._seen.face_surface[face] == 0)
        pixels = (255 * image.permute(1, 2, 0).numpy() + 0.5).clip(0, 255).astype(np.uint8)
        return pixels, of_robot


def _lines(report: dict[str, Any]) -> list[str]:
    psnr = report['psnr_of_unused_frames_db']
    return [
        f'background: {report["background_seen"]:.1%} seen, the rest filled in',
        f'robot {report["robot"]}: {report["colours_seen"]} of {report["colours"]} colours seen, '
        'the others changed alike',
        f'unused frames: {psnr["calibrated"]} dB over the robot, {psnr["urdf"]} dB in the colours '
        'of its URDF',
    ]
