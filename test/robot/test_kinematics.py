"""Forward kinematics of generated robots, held to yourdfpy's."""

from __future__ import annotations

import io

import numpy as np
import pytest
import yourdfpy
from hypothesis import given, settings
from hypothesis import strategies as st
from urdfs import joint, link, position, robot, trees

from manivideo_ros.robot.kinematics import Kinematics
from manivideo_ros.robot.urdf import read_urdf


@settings(max_examples=60, deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_the_poses_of_all_links_are_those_of_an_independent_implementation(tree, seed):
    urdf, mimics = tree
    kinematics = Kinematics(read_urdf(urdf))
    other = yourdfpy.URDF.load(io.BytesIO(urdf.encode()), load_meshes=False,
                               build_collision_scene_graph=False)  # fmt: skip
    # yourdfpy follows a mimic once, not a mimic of a mimic.
    for each in other.robot.joints:
        each.mimic = None
    other = yourdfpy.URDF(other.robot, load_meshes=False, build_collision_scene_graph=False)
    positions = np.random.default_rng(seed).uniform(-2, 2, (3, len(kinematics.joints)))
    poses = kinematics.poses(positions)
    assert set(kinematics.joints) == set(other.actuated_joint_names) - mimics.keys()
    for row, configuration in zip(poses, positions, strict=True):
        named = dict(zip(kinematics.joints, configuration.tolist(), strict=True))
        other.update_cfg({n: position(n, named, mimics) for n in other.actuated_joint_names})
        for name, pose in zip(kinematics.links, row, strict=True):
            np.testing.assert_allclose(pose, other.get_transform(name), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(trees(), st.integers(0, 2**32 - 1))
def test_the_slopes_of_points_are_their_differences(tree, seed):
    kinematics = Kinematics(read_urdf(tree[0]))
    rng, count = np.random.default_rng(seed), len(kinematics.joints)
    positions = rng.uniform(-2, 2, count)
    links = rng.integers(len(kinematics.links), size=4)
    local = rng.uniform(-1, 1, (4, 3))
    at, slopes = kinematics.points(positions, links, local)
    for n, step in enumerate(1e-6 * np.eye(count)):
        further, _ = kinematics.points(positions + step, links, local)
        before, _ = kinematics.points(positions - step, links, local)
        np.testing.assert_allclose(slopes[..., n], (further - before) / 2e-6, atol=1e-4)
    poses = kinematics.poses(positions)[links]
    np.testing.assert_allclose(
        at, np.einsum('kij,kj->ki', poses[:, :3, :3], local) + poses[:, :3, 3]
    )


def test_chosen_links_come_in_their_order_and_unnamed_joints_are_at_0():
    description = read_urdf(
        robot(
            link('a'),
            link('b'),
            link('c'),
            joint('ab', 'a', 'b', (1, 0, 0)),
            joint('bc', 'b', 'c', (0, 1, 0), kind='prismatic'),
        )
    )
    kinematics = Kinematics(description, ['c', 'a'])
    at = kinematics.poses(kinematics.positions({'bc': 0.5, 'elsewhere': 3.0}))
    np.testing.assert_allclose(at[:, :3, 3], [[1, 1.5, 0], [0, 0, 0]])
    assert kinematics.limits.tolist() == [[-3, 3], [-3, 3]]
    with pytest.raises(ValueError, match="'d' is no link of the robot 'robot'"):
        Kinematics(description, ['d'])


@pytest.mark.parametrize(
    ('parts', 'named'),
    [
        ([link('a'), link('b')], "it must have one root link, has 'a', 'b'"),
        ([link('a'), joint('j', 'a', 'b')], "joint 'j' has the link 'b', which is none"),
        (
            [link('a'), link('b'), link('c'), joint('i', 'a', 'c'), joint('j', 'b', 'c')],
            "link 'c' has two joints above it: 'i' and 'j'",
        ),
        (
            [link('a'), link('b'), link('c'), joint('i', 'b', 'c'), joint('j', 'c', 'b')],
            'is its own ancestor',
        ),
        ([link('a'), link('b'), joint('j', 'a', 'b', axis=(0, 0, 0))], "joint 'j' has the axis"),
        ([link('a'), link('b'), joint('j', 'a', 'b', kind='bent')], "joint 'j' has the type"),
        ([link('a'), link('b'), joint('j', 'a', 'b', (float('inf'), 0, 0))], 'not finite'),
        ([link('a', '<box size="0 1 1"/>')], "link 'a': a box has the size"),
    ],
)
def test_what_is_no_tree_of_links_is_named(parts, named):
    with pytest.raises(ValueError, match=named):
        read_urdf(robot(*parts))


def test_a_floating_base_is_no_problem_and_a_floating_joint_elsewhere_is_reported():
    base = read_urdf(robot(link('world'), link('b'), joint('f', 'world', 'b', kind='floating')))
    assert base.problems == () and base.root == 'world'
    inner = read_urdf(
        robot(
            link('a'),
            link('b'),
            link('c'),
            joint('i', 'a', 'b', kind='fixed'),
            joint('f', 'b', 'c', kind='floating'),
        )
    )
    assert inner.problems == ("joint 'f' is floating: it stays at its origin",)
