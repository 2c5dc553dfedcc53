"""URDFs: encodings, mimic joints, and unknown links."""

from __future__ import annotations

import codecs

import numpy as np
import pytest
from driver_messages import DisplayTrajectory, RobotState
from hypothesis import given, settings
from hypothesis import strategies as st
from sensor_msgs.msg import JointState

from manivideo_ros.files.xml_text import decode_xml
from manivideo_ros.inputs.kinematics import Robot
from manivideo_ros.motion.sources.joint_intake import JointIntake
from manivideo_ros.ros.sources.plan_intake import PlanIntake

STEP = 0.04  # metres between two joints


def joint(name: str, parent: str, child: str, mimic: str = '', kind: str = 'revolute') -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>'
        f'<origin xyz="{STEP} 0 0"/><axis xyz="0 1 0"/>'
        f'<limit lower="-9" upper="9" effort="1" velocity="1"/>{mimic}</joint>'
    )


def finger(mimics: list[str], kinds: dict[int, str] | None = None, name: str = 'finger') -> str:
    """A chain of links l0, l1 ... whose joints are j1, j2 ... with these mimic elements."""
    kinds = kinds or {}
    links = ''.join(f'<link name="l{n}"/>' for n in range(len(mimics) + 1))
    joints = ''.join(
        joint(f'j{n}', f'l{n - 1}', f'l{n}', mimic, kinds.get(n, 'revolute'))
        for n, mimic in enumerate(mimics, 1)
    )
    # Controllers name joints, too, and give them no type.
    control = '<ros2_control name="c" type="system"><joint name="j1"/></ros2_control>'
    return f'<robot name="{name}">{links}{joints}{control}</robot>'


def mimic(of: str, multiplier: float = 1.0, offset: float = 0.0) -> str:
    return f'<mimic joint="{of}" multiplier="{multiplier}" offset="{offset}"/>'


def tip(angles: list[float]) -> np.ndarray:
    """Where the last link of a straight finger is when its joints are turned so."""
    at, angle = np.array([STEP, 0.0]), 0.0
    for q in angles[:-1]:
        angle += q
        at = at + STEP * np.array([np.cos(angle), -np.sin(angle)])
    return at


number = st.floats(-1.5, 1.5).map(lambda value: round(value, 3))


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(number, number), min_size=1, max_size=4), number, st.booleans())
def test_a_chain_of_mimics_is_resolved_to_the_moving_joint(steps, q, backwards):
    names = [f'j{n}' for n in range(1, len(steps) + 2)]
    elements = ['', *(mimic(names[k], *step) for k, step in enumerate(steps))]
    angles = [q]
    for multiplier, offset in steps:
        angles.append(multiplier * angles[-1] + offset)
    if backwards:  # the joint that moves stands last in the chain
        elements = [mimic(f'j{n + 1}', *step) for n, step in enumerate(reversed(steps), 1)] + ['']
        angles.reverse()
    robot = Robot(finger(elements))
    moves = names[-1 if backwards else 0]
    assert robot.joints([f'l{len(elements)}']) == {moves}
    # What a driver reports of the joints that follow changes nothing.
    for positions in ({moves: q}, dict.fromkeys(names, 9.0) | {moves: q}):
        found = robot.poses(positions, [f'l{len(elements)}'])[f'l{len(elements)}']
        np.testing.assert_allclose(found[[0, 2], 3], tip(angles), atol=1e-6)


def test_a_mimic_of_a_fixed_joint_is_at_its_offset():
    robot = Robot(finger(['', mimic('j1', 2.0, 0.3), mimic('j2', 2.0, 0.1), ''], {1: 'fixed'}))
    assert robot.joints(['l3']) == set()
    found = robot.poses({}, ['l4'])['l4']
    np.testing.assert_allclose(found[[0, 2], 3], tip([0, 0.3, 0.7, 0]), atol=1e-6)


@pytest.mark.parametrize(
    ('elements', 'named'),
    [
        ([mimic('j2'), mimic('j1')], 'mimic each other in a ring: j1, j2, j1'),
        ([mimic('j1')], 'mimic each other in a ring: j1, j1'),
        (['', mimic('j9')], "joint 'j2' mimics 'j9', which is no joint"),
        (['', '<mimic joint="j1" multiplier="half"/>'], "joint 'j2': its mimic has multiplier"),
        (['', '<mimic joint="j1" offset="nan"/>'], "joint 'j2': its mimic has offset 'nan'"),
        (['', '<mimic/>'], "joint 'j2' mimics 'None'"),
    ],
)
def test_invalid_mimics_are_named(elements, named):
    with pytest.raises(ValueError, match=named):
        Robot(finger(elements))


ENCODINGS = [
    ('utf-8', b'', 'UTF-8'), ('utf-8', codecs.BOM_UTF8, 'UTF-8'), ('utf-8', codecs.BOM_UTF8, ''),
    ('utf-16-le', codecs.BOM_UTF16_LE, 'UTF-16'), ('utf-16-be', codecs.BOM_UTF16_BE, 'UTF-16'),
    ('utf-16-le', b'', 'UTF-16LE'), ('utf-32-le', codecs.BOM_UTF32_LE, 'UTF-32'),
    ('iso-8859-1', b'', 'ISO-8859-1'), ('cp1252', b'', 'windows-1252'), ('gb18030', b'', 'GB18030'),
    ('utf-8', b'', ''),
]  # fmt: skip


@pytest.mark.parametrize(('codec', 'mark', 'declared'), ENCODINGS)
def test_a_urdf_is_read_in_the_encoding_that_it_declares(codec, mark, declared):
    declaration = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ''
    text = declaration + finger([''], name='Händchen')
    assert 'Händchen' in decode_xml(mark + text.encode(codec))
    with pytest.raises(ValueError, match="no link of the robot 'Händchen'"):
        Robot(mark + text.encode(codec)).joints(['elbow'])


@pytest.mark.parametrize('declared', ['UTF-8', 'UTF-16', 'ISO-8859-1', 'GB18030', 'none-such'])
def test_text_of_a_topic_is_decoded_already_whatever_it_declares(declared):
    text = f'\n<?xml version="1.0" encoding="{declared}"?>\n{finger([""], name="Händchen")}\0'
    with pytest.raises(ValueError, match='Händchen'):
        Robot(text).joints(['elbow'])


def test_bytes_that_do_not_match_the_declared_encoding_are_named():
    text = finger([''], name='Händchen').encode('iso-8859-1')
    with pytest.raises(ValueError, match='is not in utf-8 at byte 14: save it as UTF-8'):
        Robot(text)
    with pytest.raises(ValueError, match="declares the encoding 'none-such'"):
        Robot(b'<?xml version="1.0" encoding="none-such"?>' + text)


@given(st.binary(max_size=200))
def test_any_bytes_decode_or_raise_one_line(data):
    problem = ''
    try:
        decode_xml(data)
    except ValueError as error:
        problem = str(error)
    assert '\n' not in problem


def test_xacro_is_named_with_what_expands_it():
    text = '<robot name="r" xmlns:xacro="http://www.ros.org/wiki/xacro"><xacro:include/></robot>'
    with pytest.raises(ValueError, match='it is xacro: expand it'):
        Robot(text)


def hand(prefix: str) -> Robot:
    links = [f'{prefix}{part}' for part in ('palm', 'ffproximal', 'ffmiddle')]
    return Robot(
        '<robot name="hand">'
        + ''.join(f'<link name="{link}"/>' for link in links)
        + joint('a', links[0], links[1]) + joint('b', links[1], links[2]) + '</robot>'
    )  # fmt: skip


def test_links_under_another_prefix_are_named_with_it():
    wanted = ['rh_palm', 'rh_ffproximal', 'rh_ffmiddle']
    with pytest.raises(ValueError, match="have the prefix 'left/' in place of 'rh_'"):
        hand('left/').joints(wanted)
    with pytest.raises(ValueError, match=r"the prefix 'robot0_' \(.*as in shadow:robot0_"):
        hand('robot0_').joints(['palm', 'ffmiddle'])


def test_links_that_are_missing_are_all_named_with_similar_ones():
    with pytest.raises(ValueError, match=r"'palm_link' is no link of .* similar ones are palm"):
        hand('').joints(['palm_link'])
    with pytest.raises(ValueError, match=r"'t1', 't2', 't3' and 2 more are no links .* it has ff"):
        hand('').joints(['t1', 't2', 't3', 't4', 't5', 'palm'])


def test_a_description_that_was_refused_is_not_called_missing():
    plan_of_nothing = DisplayTrajectory('hand', [], RobotState(JointState()))
    joints, plan = JointIntake('joint_states', {}), PlanIntake()
    missing = 'the robot is not known yet: robot_description must be published'
    assert joints.take(JointState(), 0).problems == [missing]
    assert plan.take(plan_of_nothing, 0) == [missing]
    for intake in (joints, plan):
        assert 'in a ring' in intake.take_urdf(finger([mimic('j1')]))[0]
    refused = 'robot_description was refused: no URDF that can be read: joints mimic each other'
    assert joints.take(JointState(), 0).problems[0].startswith(refused)
    assert plan.take(plan_of_nothing, 0)[0].startswith(refused)
    assert joints.take_urdf(finger([''])) == [] == plan.take_urdf(finger(['']))
    assert plan.take(plan_of_nothing, 0) == []
