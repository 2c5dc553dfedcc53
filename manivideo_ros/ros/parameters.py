"""Parameters of all nodes: defaults, descriptions, units and ranges, one dataclass per node.

`declare_parameters` declares them; launch arguments and docs/reference.md describe them from here.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from manivideo_ros.motion.sources.hand_parameters import HandSourceParameters
from manivideo_ros.process.parameter import parameter


@dataclass(frozen=True)
class NodeParameters:
    """Parameters of the synthesizer."""

    autostart: bool = parameter(True, 'Configure and activate the node at startup')
    checkpoint: str = parameter(
        '', "Weights (safetensors); '' for those of the engine specification", live=True
    )
    engine: str = parameter(
        'tiny', 'Engine specification: a name in engines/ or a YAML file', live=True
    )
    require_backend: bool = parameter(
        False, 'Run only on the first backend of the engine specification, without fallback'
    )
    threads: int = parameter(2, 'CPU threads of the rasterizer and of the model', 1, 64)
    noise_seed: int = parameter(
        0, 'Seed of the generative noise', 0, 2**32 - 1, formerly='appearance_seed'
    )
    hand_folder: str = parameter('', "Folder of a converted MANO model; '' for the default hand")
    object_ids: tuple[str, ...] = parameter(
        ('mug',), 'Ids of the objects in the scene, to which ObjectPose.object_id refers'
    )
    object_meshes: tuple[str, ...] = parameter(
        ('mug',), 'Mesh of each object: a generated shape, a mesh file or a package:// URI'
    )
    object_scales: tuple[float, ...] = parameter((1.0,), 'Metres per unit of each mesh file')
    scene: str = parameter(
        '',
        'Folder of `manivideo calibrate` with background, support plane, light, and hand '
        'reference, skin texture and hand shape, or colours of the robot; the next two parameters '
        "replace what is in it; '' for none",
    )
    background: str = parameter(
        '', "Background image, without hands and objects; '' for the shipped one"
    )
    hand_reference: str = parameter(
        '',
        'Image of an open hand, held up to the camera with its back to it and its fingers up, '
        "from which skin, sleeve and light are taken; '' for the shipped one",
        formerly='hand_appearance',
    )
    live_background: bool = parameter(
        False,
        "Show the camera's own image, background_image (or background_image/compressed), behind "
        'hands and objects, and background_depth, where it is published, before them',
    )
    background_ahead_s: float = parameter(
        0.02,
        'How far a live background may be after the poses of its frame, s',
        0.0,
        10.0,
        live=True,
    )
    support_plane: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0, 0.0),
        'Plane in the frame of the poses that has shadows of hands and objects, and below which '
        'nothing is visible: unit normal towards the hands, and offset; zeros for none',
        live=True,
    )
    support_frame: str = parameter(
        '', 'TF frame whose plane z = 0 is the support plane, for one that moves', live=True
    )
    region: str = parameter(
        'full',
        'Part of the image on which the network works: full, or action, which crops it to hands '
        'and objects where they are small',
        live=True,
        choices=('full', 'action'),
    )
    image_width: int = parameter(
        640, 'Width of the images until a camera is known, pixels', 16, 1920
    )
    image_height: int = parameter(
        480, 'Height of the images until a camera is known, pixels', 16, 1920
    )
    scene_folders: tuple[str, ...] = parameter(
        ('',),
        'Folders, besides installed packages, from which set_scene and parameters that are '
        'changed at runtime may read files',
    )
    pose_filter: bool = parameter(
        True,
        'Remove jitter from hands and objects, at the cost of about 10 ms of delay; exact poses '
        'pass as they are',
        live=True,
    )
    late_s: float = parameter(
        0.05, 'Age from which a held pose is reported as late, s', 0.0, 1.0, live=True
    )
    hold_s: float = parameter(
        0.2, 'How long the last pose of a silent source is held, s', 0.0, 5, live=True
    )
    fade_s: float = parameter(
        0.3, 'How long a silent source then takes to fade out, s', 0.0, 5.0, live=True
    )
    target_rate: float = parameter(
        0.0, 'Limit of the frame rate, Hz; 0 for a frame for every pose', 0.0, 240.0, live=True
    )
    hold_latency: float = parameter(
        0.0,
        'Limit of the latency at the 95th percentile, s, held by fewer denoising steps, then by '
        'fewer frames; 0 for none',
        0.0,
        5.0,
        live=True,
    )
    jpeg_quality: int = parameter(90, 'JPEG quality of image_raw/compressed', 1, 100, live=True)
    embodiment: str = parameter(
        'human',
        'Whose hands are shown: human (hand_poses) or robot (joint_states)',
        choices=('human', 'robot'),
    )
    robot: str = parameter(
        'demo',
        'With robot: its URDF, a file or a package:// URI, or robot_description for the topic; '
        "demo for the package's own two hands",
    )
    robot_source: str = parameter(
        'joint_states',
        'With robot: what moves it, joint_states, hands (the fingertips of hand_poses), or planned '
        'motions: joint_trajectory or display_trajectory (MoveIt)',
        choices=('joint_states', 'hands', 'joint_trajectory', 'display_trajectory'),
    )
    robot_joint_states: str = parameter('joint_states', 'With robot: topic of its JointStates')
    robot_plans: str = parameter(
        '',
        "With robot: topic of its planned motions; '' for joint_trajectory or display_planned_path",
    )
    robot_packages: tuple[str, ...] = parameter(
        ('',),
        'Folders of the packages that the URDF names, or folders that contain them, besides '
        'installed ones and ROS_PACKAGE_PATH',
    )
    robot_layers: str = parameter(
        '', "YAML file with the layers of links that are not found or wrong; '' for none"
    )
    robot_missing: str = parameter(
        'collision',
        'What is drawn where a mesh is missing: collision (the box of its collisions) or none',
        choices=('collision', 'none'),
    )
    robot_triangles: int = parameter(
        15_000, 'Triangles of the whole robot, to which heavier meshes are simplified', 500, 200_000
    )
    robot_frame: str = parameter('world', 'World frame of a robot without objects')
    robot_pose: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0),
        "Pose of the robot's root in the world where TF does not have it, x y z in m, quaternion "
        'x y z w',
    )


@dataclass(frozen=True)
class PlayerParameters:
    """Parameters of the motion player."""

    motion: str = parameter(
        '', "Motion file (rosbag2), or name of a shipped motion; '' for that of the demo"
    )
    camera: str = parameter('', "Topic of the motion's CameraInfo; '' for its only camera")
    rate_hz: float = parameter(
        30.0, 'Rate of the poses, Hz; poses between frames are interpolated', 1, 240
    )
    seconds: float = parameter(0.0, 'How long to play, s; 0 for no limit', 0.0, 86400.0)
    loop: bool = parameter(True, 'Repeat the motion; the stamps keep increasing')
    wait_for: int = parameter(
        0, 'Number of subscribers of hand_poses to wait for before playing', 0, 100
    )
    robot: str = parameter(
        '',
        'Robot that follows the hands, on joint_states: demo, or a URDF file of one hand, whose '
        "root is on TF; '' for none",
    )
    robot_packages: tuple[str, ...] = parameter(
        ('',), 'Folders of the packages that the URDF names, as of the synthesizer'
    )


@dataclass(frozen=True)
class RecorderParameters:
    """Parameters of the recorder."""

    bag: str = parameter('', "Folder of the new bag; '' for one named by date and time")
    topics: tuple[str, ...] = parameter(
        (
            'hand_poses',
            'joint_states',
            'object_poses',
            'skeleton_poses',
            'camera/camera_info',
            'scene',
            '/tf',
            '/tf_static',
            'image_raw',
            'camera_info',
            '/diagnostics',
        ),
        'Topics to record, each as soon as it has a publisher',
    )
    video: str = parameter(
        'raw',
        'What is recorded of a topic named image_raw: raw, jpeg (image_raw/compressed) or h264 '
        '(image_raw/foxglove), about a hundredth of raw',
        choices=('raw', 'jpeg', 'h264'),
    )
    labels: tuple[str, ...] = parameter(
        ('',),
        'Labels to record with each image_raw, in its namespace: layers, mask, depth, keypoints',
    )
    attachments: tuple[str, ...] = parameter(
        ('',), "Text files to store in the bag's custom data, as name=path"
    )


@dataclass(frozen=True)
class WebcamParameters:
    """Parameters of the webcam."""

    camera: int = parameter(0, 'Number of the camera, as OpenCV counts them', 0, 63)
    file: str = parameter('', "Video file to play once instead of a camera; '' for the camera")
    fov_y: float = parameter(0.79, 'Vertical field of view of the camera, rad', 0.05, 3.0)
    calibration: str = parameter(
        '', "Calibration of the camera (YAML of camera_calibration), instead of fov_y; '' for none"
    )
    frame: str = parameter('camera_optical_frame', 'Optical frame of the camera')
    smooth: bool = parameter(True, 'Remove jitter, at the cost of one frame of delay')


@dataclass(frozen=True)
class ObjectSourceParameters:
    """Parameters of the object source."""

    source: str = parameter(
        'pose',
        'Type of the source: pose (one PoseStamped topic per object), pose_array, detections '
        '(Detection3DArray), mocap (RigidBodies), moveit (CollisionObject; topics with attached '
        'in their names AttachedCollisionObject, with planning_scene PlanningScene, with display '
        'DisplayTrajectory, whose plan moves what the robot holds), tf, or grasp (a hand holds it)',
        choices=('pose', 'pose_array', 'detections', 'mocap', 'moveit', 'tf', 'grasp'),
    )
    topics: tuple[str, ...] = parameter(
        ('object_pose',), 'Topics of the source; not used with tf and grasp'
    )
    ids: tuple[str, ...] = parameter(
        ('mug',),
        "Ids of the objects in the scene; '' for all objects of the source under its own names, "
        'with moveit in their own shapes',
    )
    names: tuple[str, ...] = parameter(
        ('',),
        "Name of each object at the source: class, rigid body or frame; '' where it is the id",
    )
    type: str = parameter(
        '', "Message type with the same fields from another package; '' for the source's own"
    )
    frame: str = parameter(
        '', "Base of TF lookups, or frame of messages that name none; '' for world"
    )
    grasp: tuple[float, ...] = parameter(
        (-0.1, -0.06, 0.0, 0.0, 0.0, 0.0, 1.0),
        'With grasp: pose of the object in the wrist frame, x y z in m, quaternion x y z w',
    )
    grasp_side: str = parameter(
        'right',
        'With grasp: the hand that holds the object, left or right',
        choices=('left', 'right'),
    )
    urdf: str = parameter(
        '', "With plans: URDF file of the robot; '' to subscribe to robot_description"
    )


@dataclass(frozen=True)
class CameraParameters:
    """Parameters of the virtual camera; several cameras are several nodes."""

    kind: str = parameter(
        'look_at',
        'Motion of the camera: look_at (fixed), orbit (around the target) or wrist (moves with a '
        'hand)',
        choices=('look_at', 'orbit', 'wrist'),
    )
    eye: tuple[float, ...] = parameter(
        (0.0, -0.75, 0.66),
        'Position of the camera (of an orbit: its start), x y z in m: in `frame`, or in the frame '
        'of the right wrist (fingers along -x, back of the hand +y), mirrored for the left',
        live=True,
    )
    target: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.1), 'Point that the camera looks at, in the same frame, m', live=True
    )
    width: int = parameter(640, 'Width of the image, pixels', 16, 8192)
    height: int = parameter(480, 'Height of the image, pixels', 16, 8192)
    fov_y: float = parameter(0.79, 'Vertical field of view, rad', 0.05, 3.0, live=True)
    period_s: float = parameter(20.0, 'With orbit: time of one turn, s', 0.1, 86400.0, live=True)
    side: str = parameter('right', 'With wrist: the hand, left or right', choices=('left', 'right'))
    frame: str = parameter('world', 'Frame that eye and target are given in; not with wrist')
    camera_frame: str = parameter(
        '',
        "Optical frame of the camera; '' for camera_optical_frame, prefixed with the node's "
        'namespace, since names of frames are global',
    )
    rate_hz: float = parameter(
        30.0, 'Rate of camera_info and transforms, Hz; with wrist that of the hands', 0.1, 240
    )


@dataclass(frozen=True)
class ViewerParameters:
    """Parameters of the viewer."""

    host: str = parameter(
        '127.0.0.1', 'Address to serve the page on; everyone who reaches it can change the scene'
    )
    port: int = parameter(8642, 'Port of the page; 0 for any free port', 0, 65535)
    record_folder: str = parameter(
        '', "Folder of the bags that the page records; '' disables recording from the page"
    )
    side_by_side: bool = parameter(
        False,
        'Show beside/image_raw/compressed, a second video, on the right of the first; beside/... '
        'are to be remapped to the topics and services of another synthesizer',
    )


@dataclass(frozen=True)
class AugmenterParameters:
    """Parameters of the augmenter."""

    bag_folders: tuple[str, ...] = parameter(
        ('',), 'Folders of the bags that goals may name; at least one'
    )
    out_folder: str = parameter('', 'Folder that all outputs of goals lie under; required')
    engine: str = parameter(
        'tiny_cpu', 'Engine specification with one backend: a name in engines/ or a YAML file'
    )
    checkpoint: str = parameter(
        '', "Weights (safetensors); '' for those of the engine specification"
    )
    hand_folder: str = parameter('', "Folder of a converted MANO model; '' for the default hand")


ALL = {
    'synthesizer': NodeParameters,
    'motion_player': PlayerParameters,
    'recorder': RecorderParameters,
    'hand_source': HandSourceParameters,
    'object_source': ObjectSourceParameters,
    'webcam': WebcamParameters,
    'virtual_camera': CameraParameters,
    'viewer': ViewerParameters,
    'augmenter': AugmenterParameters,
}


def entries(kind: type) -> Mapping[str, Field[Any]]:
    """The fields of a node's dataclass by parameter name."""
    return {entry.name: entry for entry in fields(kind)}


def types(kind: type) -> Mapping[str, Any]:
    """The type of each parameter."""
    return typing.get_type_hints(kind)


def former_names(kind: type) -> Mapping[str, str]:
    """Parameter names by their names in the previous release."""
    found = {entry.metadata['formerly']: name for name, entry in entries(kind).items()}
    return {old: name for old, name in found.items() if old}


def default_of(entry: Field[Any]) -> Any:
    """The default, a list for lists."""
    default: Any = entry.default_factory() if callable(entry.default_factory) else entry.default
    return list(default) if isinstance(default, tuple) else default


def description_of(entry: Field[Any]) -> str:
    """What the parameter is, with its range."""
    low, high = entry.metadata['range']
    span = f' ({low:.10g} to {high:.10g})' if low is not None else ''
    return f'{entry.metadata["about"]}{span}'
