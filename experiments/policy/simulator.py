"""The task in MuJoCo: a gripper grasps a cube on a table and lifts it, seen by one camera.

Images are rendered offscreen: MUJOCO_GL=egl with Debian's libegl1, or osmesa with libosmesa6.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.policy.gripper import JOINTS, OPEN, gripper_urdf
from experiments.policy.looks import TEXTURE, Look
from manivideo_ros.geometry import Camera, look_at, pinhole, rigid

os.environ.setdefault('MUJOCO_GL', 'egl')

RATE_HZ = 10
FIELD_OF_VIEW = 0.66
EYE, TARGET = (0.56, 0.0, 0.5), (0.0, 0.0, 0.07)
CUBE = 0.06
"""Metres of its side."""
AREA = (0.03, 0.13)
"""Half sides of the area in which the cube stands, x and y, metres."""
HOME = (0.0, 0.0, 0.18, OPEN)
LIFTED = 0.06
"""The least rise of the cube that counts as lifted, metres."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    """Where the cube stands: metres, and rad about the vertical."""

    x: float
    y: float
    yaw: float


def random_start(seed: int) -> Start:
    """A place in the area, the same for a seed."""
    rng = np.random.default_rng([seed, 5])
    return Start(
        float(rng.uniform(-AREA[0], AREA[0])), float(rng.uniform(-AREA[1], AREA[1])),
        float(rng.uniform(-0.15, 0.15)),
    )  # fmt: skip


def camera(size: int) -> Camera:
    """The camera, with images of size x size pixels."""
    return Camera(pinhole(size, size, FIELD_OF_VIEW), look_at(EYE, TARGET), size, size)


class Simulator:
    """One simulated scene; `look` sets how it looks, `reset` where the cube stands.

    size: pixels of a side of its images.
    """

    def __init__(self, size: int) -> None:
        import mujoco

        self._mujoco = mujoco
        self._model = _model()
        self._data = mujoco.MjData(self._model)
        self._renderer = mujoco.Renderer(self._model, size, size)
        self._cube = self._model.body('cube').id
        self._substeps = round(1 / RATE_HZ / self._model.opt.timestep)
        joints = [self._model.joint(name) for name in JOINTS]
        self._places = [int(joint.qposadr[0]) for joint in joints]

    def look(self, look: Look) -> None:
        """Change colours, textures and light."""
        model, mujoco = self._model, self._mujoco
        for name, image in (('table', look.table), ('wall', look.wall)):
            texture = model.texture(name)
            at = int(texture.adr[0])
            model.tex_data[at : at + image.size] = image.reshape(-1)
            mujoco.mjr_uploadTexture(model, self._renderer._mjr_context, texture.id)
        model.geom('cube').rgba = (*look.cube, 1.0)
        light = model.light('lamp')
        direction = np.array(look.light) / np.linalg.norm(look.light)
        light.dir, light.pos = direction, np.array([0, 0, 0.1]) - 1.6 * direction
        light.diffuse = look.diffuse
        model.vis.headlight.ambient = look.ambient

    def reset(self, start: Start) -> None:
        """The gripper open above the middle, the cube at rest."""
        data = self._data
        self._mujoco.mj_resetData(self._model, data)
        data.qpos[self._places] = (*HOME[:3], HOME[3], HOME[3])
        place = self._model.joint('cube').qposadr[0]
        turn = (np.cos(start.yaw / 2), 0, 0, np.sin(start.yaw / 2))
        data.qpos[place : place + 7] = (start.x, start.y, CUBE / 2, *turn)
        data.ctrl[:] = (*HOME, HOME[3])
        self._mujoco.mj_forward(self._model, data)

    def step(self, action: Array) -> None:
        """Command targets [4] (of COMMANDS) for one period."""
        self._data.ctrl[:] = (*action, action[3])
        self._mujoco.mj_step(self._model, self._data, self._substeps)

    @property
    def state(self) -> Array:
        """Positions [5] of JOINTS."""
        return self._data.qpos[self._places].copy()

    @property
    def cube(self) -> Array:
        """world_from_cube [4, 4]."""
        data = self._data
        return rigid(data.xmat[self._cube].reshape(3, 3).copy(), data.xpos[self._cube].copy())

    @property
    def lifted(self) -> bool:
        """Whether the cube is LIFTED or higher."""
        return bool(self._data.xpos[self._cube][2] - CUBE / 2 >= LIFTED)

    def image(self) -> NDArray[np.uint8]:
        """The camera's image [size, size, 3]."""
        self._renderer.update_scene(self._data, 'camera')
        found: NDArray[np.uint8] = self._renderer.render()
        return found


def _model():
    """The URDF in a scene with table, walls, cube, lamp, camera and actuators."""
    import mujoco

    # Links' visuals are kept, for their colours; those that collide are invisible.
    options = '<mujoco><compiler discardvisual="false" fusestatic="false"/></mujoco>'
    urdf = gripper_urdf()
    spec = mujoco.MjSpec.from_string(urdf.replace('</robot>', options + '</robot>'))
    spec.option.timestep = 0.005
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10
    for body in spec.bodies:
        body.gravcomp = 1
        for geom in body.geoms:
            if geom.contype:
                geom.rgba = (0, 0, 0, 0)
                geom.friction = (1.5, 0.01, 0.001)
    for name in JOINTS:
        finger = name.endswith('finger')
        joint = spec.joint(name)
        joint.damping = 2
        joint.armature = 0.02
        actuator = spec.add_actuator(name=name, target=name)
        actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
        actuator.set_to_position(kp=400 if finger else 1500, kv=20 if finger else 80)
        if finger:
            actuator.forcerange, actuator.forcelimited = (-12, 12), True
    world = spec.worldbody
    for name in ('table', 'wall'):
        spec.add_texture(
            name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=TEXTURE, height=TEXTURE,
            nchannel=3, builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT, rgb1=(0.5, 0.5, 0.5),
        )  # fmt: skip
        material = spec.add_material(name=name)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
        material.texrepeat, material.specular = (1, 1), 0.1
    box = mujoco.mjtGeom.mjGEOM_BOX
    world.add_geom(name='table', type=box, size=(0.5, 0.6, 0.02), pos=(0, 0, -0.02),
                   material='table')  # fmt: skip
    world.add_geom(name='wall', type=box, size=(0.02, 1.5, 1.0), pos=(-0.8, 0, 0.3),
                   material='wall')  # fmt: skip
    cube = world.add_body(name='cube', pos=(0, 0, CUBE / 2))
    cube.add_freejoint(name='cube')
    cube.add_geom(name='cube', type=box, size=(CUBE / 2,) * 3, mass=0.08, rgba=(1, 0, 0, 1),
                  friction=(1.5, 0.01, 0.001))  # fmt: skip
    world.add_light(name='lamp', pos=(0, 0, 2), castshadow=True,
                    type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)  # fmt: skip
    # Optical axes have y down and z forward; MuJoCo's cameras have y up and z back.
    rotation = look_at(EYE, TARGET)[:3, :3].T @ np.diag([1.0, -1, -1])
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, rotation.reshape(-1))
    world.add_camera(name='camera', pos=EYE, quat=quaternion, fovy=np.degrees(FIELD_OF_VIEW))
    return spec.compile()
