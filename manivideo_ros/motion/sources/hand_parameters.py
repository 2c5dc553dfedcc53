"""Parameters of a source of hands: of the node hand_source, and of `--hands` for recordings."""

from __future__ import annotations

from dataclasses import dataclass

from manivideo_ros.process.parameter import parameter


@dataclass(frozen=True)
class HandSourceParameters:
    """Parameters of the hand source."""

    source: str = parameter(
        'openxr',
        'Type of the source: openxr (PoseArray of 25 or 26 joints), mediapipe (PoseArray of 21 '
        'landmarks), isaac (NamedPoseArray), manus (ManusGlove), manus_skeleton (PoseArray of 21 '
        "nodes in the SDK's order), ultraleap (Hands), leap_frame (LeapFrame), tf, or for a robot "
        'hand joint_states, joint_trajectory or display_trajectory (MoveIt)',
        choices=(
            'openxr',
            'mediapipe',
            'isaac',
            'manus',
            'manus_skeleton',
            'ultraleap',
            'leap_frame',
            'tf',
            'joint_states',
            'joint_trajectory',
            'display_trajectory',
        ),
    )
    topics: tuple[str, ...] = parameter(
        ('left_hand', 'right_hand'), 'Topics of the source; not used with tf'
    )
    sides: tuple[str, ...] = parameter(
        ('',), "Side, left or right, of each topic with one hand; '' to read it from the name"
    )
    type: str = parameter(
        '', "Message type with the same fields from another package; '' for the source's own"
    )
    axes: str = parameter(
        '',
        'Axes of the source: ros (z up), y_up (OpenXR, Ultraleap) or unity (left-handed); '
        "'' for its default",
        choices=('ros', 'y_up', 'unity', ''),
    )
    unit: float = parameter(
        0.0, "Metres per unit, 0.001 for millimetres; 0 for the source's default", 0.0, 100.0
    )
    frame: str = parameter(
        '',
        'Frame of the published poses: base of TF lookups, place of a robot given by joints, or '
        "frame of messages that name none; '' for world, with joints the robot's root",
    )
    left_wrist: str = parameter(
        '', 'Wrist of a left glove: a frame on TF, or topic:NAME of a PoseStamped topic'
    )
    right_wrist: str = parameter(
        '', 'Wrist of a right glove: a frame on TF, or topic:NAME of a PoseStamped topic'
    )
    left_elbow: str = parameter(
        '', "Frame on TF of the left elbow, with any source; '' for the source's own or none"
    )
    right_elbow: str = parameter(
        '', "Frame on TF of the right elbow, with any source; '' for the source's own or none"
    )
    left_frames: tuple[str, ...] = parameter(
        ('',),
        'With tf and joints: 21 frames or links of the left hand, wrist, then thumb to little '
        'finger, - for none, name@x,y,z for a point in a frame, m; or shadow, allegro or leap, '
        'with a prefix of the link names after a colon if it is not the default one',
    )
    right_frames: tuple[str, ...] = parameter(
        ('',), 'With tf and joints: frames or links of the right hand, as for left_frames'
    )
    urdf: str = parameter(
        '', "With joints: URDF file of the robot; '' to subscribe to robot_description"
    )
    rate_hz: float = parameter(30.0, 'With a trajectory: rate of the poses, Hz', 1.0, 240.0)
    smooth: bool = parameter(True, 'Remove jitter, at the cost of one frame of delay')
    hand_folder: str = parameter('', "Folder of a converted MANO model; '' for the default hand")
