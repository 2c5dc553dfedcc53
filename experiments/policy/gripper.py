"""The gripper: two parallel fingers on a gantry, as the URDF that simulator and renderer read."""

from __future__ import annotations

from xml.etree import ElementTree

JOINTS = ('gantry_x', 'gantry_y', 'gantry_z', 'left_finger', 'right_finger')
"""The joints of a state, in its order; finger joints are 0 when closed."""
COMMANDS = ('gantry_x', 'gantry_y', 'gantry_z', 'fingers')
"""The targets of an action, in its order; both fingers have one."""
ROOT = 'world'
FINGERTIP = 0.11
"""Metres from the origin of the palm down to the fingertips."""
OPEN = 0.06
"""Metres that a finger opens."""
COLOURS = {
    'white plastic': (0.86, 0.87, 0.88),
    'orange plastic': (0.93, 0.45, 0.12),
    'dark plastic': (0.22, 0.23, 0.26),
}
LIMITS = {
    'gantry_x': (-0.3, 0.3),
    'gantry_y': (-0.3, 0.3),
    'gantry_z': (0.0, 0.5),
    'left_finger': (0.0, OPEN),
    'right_finger': (0.0, OPEN),
}


def gripper_urdf() -> str:
    """The URDF's text. The height gantry_z is that of the fingertips above the table, z = 0."""
    root = ElementTree.Element('robot', name='gantry_gripper')
    for name, colour in COLOURS.items():
        material = ElementTree.SubElement(root, 'material', name=name)
        ElementTree.SubElement(material, 'color', rgba=_text(*colour, 1.0))
    ElementTree.SubElement(root, 'link', name=ROOT)
    for name in ('carriage_x', 'carriage_y'):
        _inertia(ElementTree.SubElement(root, 'link', name=name))
    palm = ElementTree.SubElement(root, 'link', name='palm')
    _inertia(palm)
    _box(palm, 'white plastic', (0.05, 0.18, 0.03), (0, 0, 0.015))
    _box(palm, 'orange plastic', (0.052, 0.05, 0.02), (0, 0, 0.04))
    _box(palm, 'dark plastic', (0.04, 0.04, 0.4), (0, 0, 0.25))
    for side, sign in (('left', 1), ('right', -1)):
        finger = ElementTree.SubElement(root, 'link', name=f'{side}_finger')
        _inertia(finger)
        _box(finger, 'dark plastic', (0.024, 0.014, FINGERTIP - 0.03),
             (0, 0.007 * sign, -0.5 * (FINGERTIP - 0.03)))  # fmt: skip
        _box(finger, 'orange plastic', (0.026, 0.016, 0.03),
             (0, 0.008 * sign, -FINGERTIP + 0.015))  # fmt: skip
    _joint(root, 'gantry_x', ROOT, 'carriage_x', (1, 0, 0))
    _joint(root, 'gantry_y', 'carriage_x', 'carriage_y', (0, 1, 0))
    _joint(root, 'gantry_z', 'carriage_y', 'palm', (0, 0, 1), FINGERTIP)
    _joint(root, 'left_finger', 'palm', 'left_finger', (0, 1, 0))
    _joint(root, 'right_finger', 'palm', 'right_finger', (0, -1, 0))
    ElementTree.indent(root)
    return ElementTree.tostring(root, 'unicode') + '\n'


def _inertia(link: ElementTree.Element) -> None:
    inertial = ElementTree.SubElement(link, 'inertial')
    ElementTree.SubElement(inertial, 'mass', value='0.2')
    ElementTree.SubElement(
        inertial, 'inertia', ixx='1e-3', iyy='1e-3', izz='1e-3', ixy='0', ixz='0', iyz='0'
    )


def _box(
    link: ElementTree.Element,
    material: str,
    size: tuple[float, float, float],
    place: tuple[float, float, float],
) -> None:
    for kind in ('visual', 'collision'):
        element = ElementTree.SubElement(link, kind)
        ElementTree.SubElement(element, 'origin', xyz=_text(*place), rpy='0 0 0')
        geometry = ElementTree.SubElement(element, 'geometry')
        ElementTree.SubElement(geometry, 'box', size=_text(*size))
        if kind == 'visual':
            ElementTree.SubElement(element, 'material', name=material)


def _joint(
    root: ElementTree.Element,
    name: str,
    parent: str,
    child: str,
    axis: tuple[float, float, float],
    height: float = 0.0,
) -> None:
    joint = ElementTree.SubElement(root, 'joint', name=name, type='prismatic')
    ElementTree.SubElement(joint, 'parent', link=parent)
    ElementTree.SubElement(joint, 'child', link=child)
    ElementTree.SubElement(joint, 'origin', xyz=_text(0, 0, height), rpy='0 0 0')
    ElementTree.SubElement(joint, 'axis', xyz=_text(*axis))
    lower, upper = LIMITS[name]
    ElementTree.SubElement(
        joint, 'limit', lower=f'{lower:g}', upper=f'{upper:g}', effort='100', velocity='2'
    )


def _text(*values: float) -> str:
    return ' '.join(f'{value:g}' for value in values)
