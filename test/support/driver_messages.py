"""Messages of drivers whose packages need not be installed: the fields of published definitions."""

from dataclasses import dataclass, field

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Pose, PoseWithCovariance, Quaternion, Vector3
from sensor_msgs.msg import JointState
from std_msgs.msg import Header


# teleop_ros2_interfaces/NamedPoseArray (NVIDIA IsaacCapture, examples/teleop_ros2).
@dataclass
class NamedPoseArray:
    header: Header = field(default_factory=Header)
    name: list = field(default_factory=list)
    pose: list = field(default_factory=list)
    is_valid: list = field(default_factory=list)


# manus_ros2_msgs (the maker's driver): no header; MCP, PIP, IP, DIP and TIP are the SDK's
# metacarpal, proximal, intermediate, distal and tip.
@dataclass
class ManusRawNode:
    node_id: int = 0
    parent_node_id: int = 0
    joint_type: str = ''
    chain_type: str = ''
    pose: Pose = field(default_factory=Pose)


@dataclass
class ManusGlove:
    glove_id: int = 0
    side: str = ''
    raw_node_count: int = 0
    raw_nodes: list = field(default_factory=list)
    ergonomics_count: int = 0
    ergonomics: list = field(default_factory=list)
    raw_sensor_orientation: Quaternion = field(default_factory=Quaternion)
    raw_sensor_count: int = 0
    raw_sensor: list = field(default_factory=list)


# leap_msgs of CPSL_ROS2_LeapMotion: Hands, Hand, Finger, Bone; Arm is not looked at there.
@dataclass
class LeapBone:
    type: int = 0
    prev_joint: Point = field(default_factory=Point)
    next_joint: Point = field(default_factory=Point)
    direction: Vector3 = field(default_factory=Vector3)
    length: float = 0.0
    width: float = 0.0


@dataclass
class LeapFinger:
    id: int = 0
    type: int = 0
    tip_position: Point = field(default_factory=Point)
    direction: Vector3 = field(default_factory=Vector3)
    velocity: Vector3 = field(default_factory=Vector3)
    length: float = 0.0
    width: float = 0.0
    bones: list = field(default_factory=list)


@dataclass
class LeapHand:
    type: str = ''
    position: Point = field(default_factory=Point)
    velocity: Vector3 = field(default_factory=Vector3)
    normal: Vector3 = field(default_factory=Vector3)
    orientation: Quaternion = field(default_factory=Quaternion)
    grab_strength: float = 0.0
    pinch_strength: float = 0.0
    fingers: list = field(default_factory=list)
    arm: object = None


@dataclass
class LeapHands:
    header: Header = field(default_factory=Header)
    hands: list = field(default_factory=list)


# vision_msgs 4 (Humble and later).
@dataclass
class ObjectHypothesis:
    class_id: str = ''
    score: float = 0.0


@dataclass
class ObjectHypothesisWithPose:
    hypothesis: ObjectHypothesis = field(default_factory=ObjectHypothesis)
    pose: PoseWithCovariance = field(default_factory=PoseWithCovariance)


@dataclass
class Detection3D:
    header: Header = field(default_factory=Header)
    results: list = field(default_factory=list)
    bbox: object = None
    id: str = ''


@dataclass
class Detection3DArray:
    header: Header = field(default_factory=Header)
    detections: list = field(default_factory=list)


# mocap4r2_msgs, formerly mocap_msgs.
@dataclass
class RigidBody:
    header: Header = field(default_factory=Header)
    frame_number: int = 0
    rigid_body_name: str = ''
    markers: list = field(default_factory=list)
    pose: Pose = field(default_factory=Pose)


@dataclass
class RigidBodies:
    header: Header = field(default_factory=Header)
    frame_number: int = 0
    rigidbodies: list = field(default_factory=list)


# moveit_msgs/CollisionObject of ROS 2: its `pose` carries the meshes' and primitives' poses.
@dataclass
class Mesh:
    triangles: list = field(default_factory=list)
    vertices: list = field(default_factory=list)


@dataclass
class MeshTriangle:
    vertex_indices: tuple = (0, 0, 0)


@dataclass
class SolidPrimitive:
    type: int = 0
    dimensions: list = field(default_factory=list)


@dataclass
class CollisionObject:
    header: Header = field(default_factory=Header)
    pose: Pose = field(default_factory=Pose)
    id: str = ''
    primitives: list = field(default_factory=list)
    primitive_poses: list = field(default_factory=list)
    meshes: list = field(default_factory=list)
    mesh_poses: list = field(default_factory=list)
    planes: list = field(default_factory=list)
    plane_poses: list = field(default_factory=list)
    subframe_names: list = field(default_factory=list)
    subframe_poses: list = field(default_factory=list)
    operation: bytes = b'\x00'


# trajectory_msgs.
@dataclass
class JointTrajectoryPoint:
    positions: list = field(default_factory=list)
    velocities: list = field(default_factory=list)
    accelerations: list = field(default_factory=list)
    effort: list = field(default_factory=list)
    time_from_start: Duration = field(default_factory=Duration)


@dataclass
class JointTrajectory:
    header: Header = field(default_factory=Header)
    joint_names: list = field(default_factory=list)
    points: list = field(default_factory=list)


@dataclass
class MultiDOFJointTrajectoryPoint:
    transforms: list = field(default_factory=list)
    velocities: list = field(default_factory=list)
    accelerations: list = field(default_factory=list)
    time_from_start: Duration = field(default_factory=Duration)


@dataclass
class MultiDOFJointTrajectory:
    header: Header = field(default_factory=Header)
    joint_names: list = field(default_factory=list)
    points: list = field(default_factory=list)


# sensor_msgs/MultiDOFJointState is installed with ROS, but not looked at by its type.
@dataclass
class MultiDOFJointState:
    header: Header = field(default_factory=Header)
    joint_names: list = field(default_factory=list)
    transforms: list = field(default_factory=list)
    twist: list = field(default_factory=list)
    wrench: list = field(default_factory=list)


# moveit_msgs.
@dataclass
class RobotState:
    joint_state: JointState = field(default_factory=JointState)
    multi_dof_joint_state: MultiDOFJointState = field(default_factory=MultiDOFJointState)
    attached_collision_objects: list = field(default_factory=list)
    is_diff: bool = False


@dataclass
class RobotTrajectory:
    joint_trajectory: JointTrajectory = field(default_factory=JointTrajectory)
    multi_dof_joint_trajectory: MultiDOFJointTrajectory = field(
        default_factory=MultiDOFJointTrajectory
    )


@dataclass
class DisplayTrajectory:
    model_id: str = ''
    trajectory: list = field(default_factory=list)
    trajectory_start: RobotState = field(default_factory=RobotState)


@dataclass
class AttachedCollisionObject:
    link_name: str = ''
    object: CollisionObject = field(default_factory=CollisionObject)
    touch_links: list = field(default_factory=list)
    detach_posture: JointTrajectory = field(default_factory=JointTrajectory)
    weight: float = 0.0


@dataclass
class PlanningSceneWorld:
    collision_objects: list = field(default_factory=list)
    octomap: object = None


@dataclass
class PlanningScene:
    name: str = ''
    robot_state: RobotState = field(default_factory=RobotState)
    robot_model_name: str = ''
    fixed_frame_transforms: list = field(default_factory=list)
    allowed_collision_matrix: object = None
    link_padding: list = field(default_factory=list)
    link_scale: list = field(default_factory=list)
    object_colors: list = field(default_factory=list)
    world: PlanningSceneWorld = field(default_factory=PlanningSceneWorld)
    is_diff: bool = False


# leap_motion_interface of LeapMotionROS2Bridge: LeapFrame, LeapHand, LeapDigit, LeapBone,
# LeapVector, as LeapC has them, in millimetres.
@dataclass
class LeapVector:
    x: float = 0.0
    y: float = 0.0
    z: float = 0.0


@dataclass
class LeapCBone:
    prev_joint: LeapVector = field(default_factory=LeapVector)
    next_joint: LeapVector = field(default_factory=LeapVector)
    width: float = 0.0
    rotation: object = None


@dataclass
class LeapDigit:
    finger_id: int = 0
    bones: list = field(default_factory=lambda: [LeapCBone() for _ in range(4)])
    is_extended: int = 0


@dataclass
class LeapCHand:
    id: int = 0
    type: str = ''
    visible_time: int = 0
    pinch_distance: float = 0.0
    grab_angle: float = 0.0
    pinch_strength: float = 0.0
    grab_strength: float = 0.0
    palm: object = None
    digits: list = field(default_factory=lambda: [LeapDigit() for _ in range(5)])
    arm: LeapCBone = field(default_factory=LeapCBone)


@dataclass
class LeapFrame:
    header: Header = field(default_factory=Header)
    n_hands: int = 0
    hands: list = field(default_factory=list)
    framerate: float = 0.0
