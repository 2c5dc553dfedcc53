"""Palm and fingers of robots."""

from __future__ import annotations

from itertools import pairwise

import pytest
from urdfs import BOX, hand, joint, link, robot

from manivideo_ros.robot.layers import find_layers
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import load_robot
from manivideo_ros.robot.urdf import read_urdf


def layers(urdf, given=None, side=None, hint=''):
    description = read_urdf(urdf)
    seen = [name for name, of in description.links.items() if of.visuals]
    return find_layers(description, seen, given, side, hint)


def named(found):
    return {finger.links[0]: finger.name for finger in found.fingers}


def test_fingers_are_named_as_their_links_are_and_the_arm_is_of_the_palm():
    found = layers(hand({'ring': 2, 'thumb': 3, 'index': 3, 'middle': 4}, arm=6))
    assert named(found) == {f'{n}_0': n for n in ('ring', 'thumb', 'index', 'middle')}
    assert found.part['arm_0'] == found.part['base'] == 'palm'
    assert 'pinky' not in found.part.values()  # four fingers leave a layer empty
    assert found.palm == {'right': 'arm_5'}


def test_fingers_without_names_are_told_by_their_places():
    places = {'a': (0.08, 0, 0), 'b': (0.08, 0.02, 0), 'c': (0.08, 0.04, 0), 'd': (0.0, 0.1, 0)}
    found = layers(hand(dict.fromkeys(places, 3), places=places))
    assert named(found) == {'d_0': 'thumb', 'c_0': 'index', 'b_0': 'middle', 'a_0': 'ring'}


@pytest.mark.parametrize('prefix', ['', 'rh_', 'robot/'])
def test_known_hands_are_recognised_under_any_prefix(prefix):
    shadow = {'ff': 'index', 'mf': 'middle', 'rf': 'ring', 'lf': 'pinky', 'th': 'thumb'}
    urdf = hand(dict.fromkeys(shadow, 3), prefix=prefix)
    for short in shadow:
        for n, part in enumerate(('proximal', 'middle', 'distal')):
            urdf = urdf.replace(f'"{prefix}{short}_{n}"', f'"{prefix}{short}{part}"')
    found = layers(urdf)
    assert found.hand == 'shadow'
    assert named(found) == {f'{prefix}{s}proximal': finger for s, finger in shadow.items()}


SVH = {
    'thumb': ('th', ('e1', 'z', 'a', 'b', 'c')),
    'index': ('ff', ('e1', 'virtual_l', 'l', 'p', 't')),
    'middle': ('mf', ('e1', 'virtual_k', 'k', 'o', 's')),
    'ring': ('rf', ('e2', 'virtual_j', 'j', 'n', 'r')),
    'pinky': ('lf', ('e2', 'virtual_i', 'i', 'm', 'q')),
}
"""Tips and links of Schunk's hand, from the part of the palm outwards, as dex-urdf names them."""


def schunk_hand(side):
    """Links `right_hand_z` with tips that are named as Shadow's are; the palm has two parts."""
    whole = [f'{side}_hand_{name}' for name in ('base_link', 'e1', 'e2')]
    parts = [link('base_link'), *(link(name, BOX) for name in whole)]
    parts += [joint('root', 'base_link', whole[0], kind='fixed')]
    parts += [joint('f4', *whole[:2], kind='fixed'), joint('j5', *whole[1:])]
    for short, names in SVH.values():
        names = [f'{side}_hand_{name}' for name in names]
        for up, name in pairwise(names):
            kind = 'fixed' if name.endswith('virtual_k') else 'revolute'
            visual = '' if 'virtual' in name else BOX
            parts += [link(name, visual), joint(name, up, name, (0, 0, 0.03), kind=kind)]
        parts += [link(f'{short}tip'), joint(f'{short}tip', name, f'{short}tip', kind='fixed')]
    return robot(*parts, name='svh')


@pytest.mark.parametrize('side', ['left', 'right'])
def test_schunks_hand_is_not_taken_for_shadows_by_the_names_of_its_tips(side):
    found = layers(schunk_hand(side))
    assert found.hand == 'schunk svh' and found.palm.keys() == {side} and not found.problems
    for finger, (short, names) in SVH.items():
        moved = [name for name in names[1:] if name != 'virtual_k']  # fixed to the palm
        links = {f'{side}_hand_{name}' for name in moved} | {f'{short}tip'}
        assert {name for name, part in found.part.items() if part == finger} == links
        assert {found.side[name] for name in links} == {side}


def test_the_chains_of_a_linkage_gripper_are_two_fingers():
    chains = [
        f'{side}_{place}_knuckle' for side in ('left', 'right') for place in ('outer', 'inner')
    ]
    urdf = hand(dict.fromkeys(chains, 2))
    found = layers(urdf)
    assert found.hand == 'robotiq'
    assert {f.name for f in found.fingers if f.links[0].startswith('left')} == {'thumb'}
    assert {f.name for f in found.fingers if f.links[0].startswith('right')} == {'index'}


@pytest.mark.parametrize('tips', ['finger_tip', 'inner_finger'])
def test_each_finger_of_a_linkage_has_the_points_of_its_longest_chain(tips):
    """Names as in Robotiq's URDFs: fingers on outer knuckles, and inner knuckles beside them."""
    prefix = 'robotiq_85_' if tips == 'finger_tip' else ''
    outer = '' if prefix else 'outer_'
    urdf = hand({
        f'{side}_{which}': joints
        for side in ('left', 'right')
        for which, joints in (('inner_knuckle', 1), (f'{outer}knuckle', 3))
    })  # fmt: skip
    for side in ('left', 'right'):
        for n, name in enumerate((f'{outer}knuckle', f'{outer}finger', tips)):
            urdf = urdf.replace(f'"{side}_{outer}knuckle_{n}"', f'"{prefix}{side}_{name}_link"')
        urdf = urdf.replace(f'"{side}_inner_knuckle_0"', f'"{prefix}{side}_inner_knuckle_link"')
    model = load_robot(urdf, MeshFiles())[0]
    assert model.layers.hand == 'robotiq' and model.layers.problems == ()
    fingers = {f.name: [model.kinematics.links[n] for n in f.link] for f in model.fingers}
    for finger, side in (('thumb', 'left'), ('index', 'right')):
        assert fingers[finger][-1] == f'{prefix}{side}_{tips}_link' and len(fingers[finger]) == 4
        parts = {link for link, part in model.layers.part.items() if part == finger}
        assert f'{prefix}{side}_inner_knuckle_link' in parts and len(parts) == 4


def test_two_hands_of_one_robot_have_their_sides():
    left, right = (hand({'thumb': 3, 'index': 3}, prefix=p) for p in ('left_', 'right_'))
    inside = [text.split('>', 1)[1].removesuffix('</robot>') for text in (left, right)]
    joints = ''.join(
        f'<joint name="{p}" type="fixed"><parent link="torso"/><child link="{p}_base"/></joint>'
        for p in ('left', 'right')
    )
    # Both palms are fixed to the torso: only shoulders that move make two hands.
    turning = joints.replace('fixed', 'continuous')
    found = layers(f'<robot name="two"><link name="torso"/>{"".join(inside)}{turning}</robot>')
    assert {(f.side, f.name) for f in found.fingers} == {
        (side, name) for side in ('left', 'right') for name in ('thumb', 'index')
    }
    assert found.palm == {'left': 'left_base', 'right': 'right_base'}
    assert found.side['left_index_2'] == 'left'


def test_the_side_is_that_of_the_names_or_as_given():
    urdf = hand({'thumb': 2, 'index': 2})
    assert layers(urdf).palm.keys() == {'right'}
    assert layers(urdf, hint='acme_left').palm.keys() == {'left'}
    assert layers(hand({'thumb': 2, 'index': 2}, name='left_acme')).palm.keys() == {'left'}
    assert layers(urdf, side='left').palm.keys() == {'left'}


def test_corrections_replace_what_was_found_and_unknown_ones_are_named():
    urdf = hand({'thumb': 2, 'index': 2})
    found = layers(urdf, {'index_*': 'pinky', 'base': 'hidden'})
    assert found.part['index_1'] == 'pinky' and found.part['base'] == 'hidden'
    with pytest.raises(ValueError, match=r"middle_\*: no such link of the robot 'hand'"):
        layers(urdf, {'middle_*': 'middle'})
    with pytest.raises(ValueError, match="base: 'wrist' is none of palm, thumb"):
        layers(urdf, {'base': 'wrist'})


def test_an_arm_without_a_hand_is_one_layer():
    found = layers(hand({}, arm=5))
    assert set(found.part.values()) == {'palm'} and not found.fingers
