"""Meshes of robots: formats, folders, materials, budgets, and what is missing."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import trimesh
from urdfs import hand, joint, link, robot

from manivideo_ros.objects.formats.mesh_file import read_pieces
from manivideo_ros.robot import model as model_module
from manivideo_ros.robot.demo_robot import write_demo_robot
from manivideo_ros.robot.mesh_files import MeshFiles
from manivideo_ros.robot.model import (
    MOST_LOOKED_AT,
    load_robot,
    load_robot_file,
    read_corrections,
)
from manivideo_ros.robot.state import RobotState, interpolate_robots

RED = '<material name="paint"><color rgba="1 0 0 1"/></material>'


def mesh_link(file, scale='', collision='', material=''):
    return link('a', f'<mesh filename="{file}"{scale}/>', collision, material)


def colours(model):
    """The colours in the middle of a robot's faces, [F, 3]."""
    size = len(model.texture)
    at = np.clip((model.corner_uv.mean(1) * size).astype(int), 0, size - 1)
    return model.texture[at[:, 1], at[:, 0]]


@pytest.mark.parametrize('suffix', ['stl', 'obj', 'glb', 'dae', 'ply'])
def test_visuals_of_all_formats_have_their_scale_place_and_material(tmp_path, suffix):
    trimesh.creation.box((1.0, 2.0, 3.0)).export(tmp_path / f'part.{suffix}')
    visual = f'<mesh filename="part.{suffix}" scale="0.1 0.1 0.2"/>'
    text = (
        '<robot name="r"><link name="a"><visual><origin xyz="1 0 0" rpy="0 0 1.5707963"/>'
        f'<geometry>{visual}</geometry>{RED}</visual></link></robot>'
    )
    (tmp_path / 'r.urdf').write_text(text)
    model, problems = load_robot_file(tmp_path / 'r.urdf')
    assert problems == []
    np.testing.assert_allclose(np.ptp(model.vertices, axis=0), [0.2, 0.1, 0.6], atol=1e-5)
    np.testing.assert_allclose(model.vertices.mean(0), [1, 0, 0], atol=1e-5)
    if suffix in ('stl', 'ply'):  # without a material of its own
        assert (colours(model) == RED_RGB).all()


def test_a_mirrored_scale_keeps_faces_outwards(tmp_path):
    trimesh.creation.box((1, 1, 1)).export(tmp_path / 'part.stl')
    text = robot(mesh_link('part.stl', ' scale="1 -1 1"'))
    (tmp_path / 'r.urdf').write_text(text)
    model, _ = load_robot_file(tmp_path / 'r.urdf')
    assert trimesh.Trimesh(model.vertices, model.faces).volume == pytest.approx(1)


def test_primitives_have_their_sizes():
    shapes = {
        '<box size="1 2 3"/>': (1, 2, 3),
        '<sphere radius="0.5"/>': (1, 1, 1),
        '<cylinder radius="0.5" length="3"/>': (1, 1, 3),
        '<capsule radius="0.5" length="2"/>': (1, 1, 3),
    }
    for xml, size in shapes.items():
        model, _ = load_robot(robot(link('a', xml)), MeshFiles())
        np.testing.assert_allclose(np.ptp(model.vertices, axis=0), size, atol=0.02)


def test_package_uris_are_found_in_given_folders_and_in_the_package_of_the_urdf(
    tmp_path, monkeypatch
):
    package = tmp_path / 'acme_description'
    for folder in ('urdf', 'meshes'):
        (package / folder).mkdir(parents=True)
    trimesh.creation.box((1, 1, 1)).export(package / 'meshes/part.stl')
    text = robot(mesh_link('package://acme_description/meshes/part.stl'))
    (package / 'urdf/r.urdf').write_text(text)
    assert load_robot_file(package / 'urdf/r.urdf')[1] == []
    for folder in (package, tmp_path):
        assert load_robot(text, MeshFiles.of(None, [str(folder)]))[1] == []
    with pytest.raises(ValueError, match="its package 'acme_description' is searched for in"):
        load_robot(text, MeshFiles(), missing='none')
    monkeypatch.setenv('ROS_PACKAGE_PATH', f'/nowhere:{tmp_path}')
    assert load_robot(text, MeshFiles())[1] == []


@pytest.mark.parametrize('name', ['/etc/passwd', 'file:///etc/passwd', '../../../secret.stl',
                                  'package://acme/../secret.stl'])  # fmt: skip
def test_files_outside_the_allowed_folders_are_not_read(tmp_path, name):
    trimesh.creation.box((1, 1, 1)).export(tmp_path / 'secret.stl')
    folder = tmp_path / 'a/b/acme'
    folder.mkdir(parents=True)
    (folder / 'r.urdf').write_text(robot(mesh_link(name), link('b', '<box size="1 1 1"/>'),
                                         joint('j', 'a', 'b')))  # fmt: skip
    _, problems = load_robot_file(folder / 'r.urdf')
    assert len(problems) == 1 and ('allowed folder' in problems[0] or 'no such' in problems[0])
    # A description that comes from a topic may name packages only.
    text = robot(mesh_link(str(tmp_path / 'secret.stl')))
    with pytest.raises(ValueError, match='lies in no allowed folder'):
        load_robot(text, MeshFiles())


def test_a_missing_mesh_is_named_and_drawn_as_the_box_of_its_collision_or_left_out():
    solid = '<cylinder radius="0.5" length="3"/>'
    text = robot(mesh_link('gone.stl', collision=solid))
    model, problems = load_robot(text, MeshFiles())
    assert problems == ["link 'a': gone.stl: no such file: its collision is drawn as a box"]
    assert len(model.faces) == 12
    np.testing.assert_allclose(np.ptp(model.vertices, axis=0), [1, 1, 3], atol=0.02)
    with pytest.raises(ValueError, match=r"shows nothing: link 'a': gone\.stl: no such file: left"):
        load_robot(text, MeshFiles(), missing='none')


def test_heavy_meshes_are_simplified_to_the_budget_and_keep_their_materials(tmp_path):
    for n in range(2):
        trimesh.creation.icosphere(5, 0.05 * (n + 1)).export(tmp_path / f'{n}.stl')
    blue = RED.replace('paint', 'other').replace('1 0 0 1', '0 0 1 1')
    text = robot(
        link('a', '<mesh filename="0.stl"/>', material=RED),
        link('b', '<mesh filename="1.stl"/>', material=blue),
        joint('j', 'a', 'b', (1, 0, 0)),
    )
    (tmp_path / 'r.urdf').write_text(text)
    model, problems = load_robot_file(tmp_path / 'r.urdf', most=3000)
    assert problems == [f'40960 triangles simplified to {len(model.faces)}']
    assert 1500 < len(model.faces) <= 3000
    of_b = model.vertex_link[model.faces[:, 0]] == 1
    assert (colours(model)[of_b] == RED_RGB[::-1]).all() and (
        colours(model)[~of_b] == RED_RGB
    ).all()
    radius = np.linalg.norm(model.vertices[model.vertex_link == 1], axis=1)
    np.testing.assert_allclose(radius, 0.1, atol=1e-3)


def test_of_a_very_heavy_mesh_some_faces_are_looked_at_and_the_log_says_that_it_takes_time(
    tmp_path, monkeypatch, caplog
):
    shell = trimesh.creation.icosphere(6, 0.1)
    inside = trimesh.creation.icosphere(5, 0.05)
    trimesh.util.concatenate([shell, inside]).export(tmp_path / 'heavy.stl')
    fingers = [link(n, '<mesh filename="heavy.stl"/>') for n in 'ab']
    (tmp_path / 'r.urdf').write_text(robot(*fingers, joint('j', 'a', 'b', (1, 0, 0))))
    looked_at, read = [], []

    def outer(vertices, faces):
        looked_at.append(len(faces))
        return np.linalg.norm(vertices[faces].mean(1), axis=1) > 0.08

    monkeypatch.setattr(model_module, 'read_pieces', lambda *a: read.append(a) or read_pieces(*a))
    with caplog.at_level(logging.INFO):
        model, _ = load_robot_file(tmp_path / 'r.urdf', outer=outer)
    # Both links have one mesh: it is read, and looked at, once.
    assert len(read) == 1 and len(looked_at) == 1
    assert 10_000 < looked_at[0] <= MOST_LOOKED_AT
    radius = np.linalg.norm(model.vertices, axis=1)
    np.testing.assert_allclose(radius, 0.1, atol=1e-4)
    assert 'simplifying 204800 triangles takes seconds' in caplog.text


RED_RGB = [255, 38, 38]  # nothing is darker than black plastic


def test_corrections_come_from_yaml(tmp_path):
    (tmp_path / 'r.urdf').write_text(hand({'thumb': 2, 'index': 2}))
    good = tmp_path / 'good.yaml'
    good.write_text('side: left\nlayers: {index_*: ring, base: hidden}\n')
    model, _ = load_robot_file(tmp_path / 'r.urdf', corrections=good)
    assert set(model.face_part.tolist()) == {2, 5} and model.face_left.all()
    for text, named in {
        'sides: left': 'sides: is neither side nor layers',
        'side: top': "side: 'top' is neither left nor right",
        'layers: [1]': 'layers: must have a layer',
        '[1]': 'must have `layers`',
        'a: [': 'bad.yaml',
    }.items():
        bad = tmp_path / 'bad.yaml'
        bad.write_text(text)
        with pytest.raises(ValueError, match=named):
            read_corrections(bad)


@pytest.mark.parametrize('side', ['left', 'right'])
@pytest.mark.parametrize('fingers', [4, 5])
def test_the_demo_robot_is_a_hand_of_the_human_proportions(tmp_path, side, fingers):
    model, problems = load_robot_file(write_demo_robot(tmp_path, [side], fingers))
    assert problems == [] and len(model.fingers) == fingers
    assert {f.side for f in model.fingers} == {side}
    assert ({*model.face_part.tolist()} == {*range(1, 7)}) == (fingers == 5)
    rest = RobotState(model, np.zeros(len(model.kinematics.joints)), np.eye(4))
    for finger, points in zip(model.fingers, rest.finger_points(), strict=True):
        assert len(points) == 4
        assert 0.05 < np.linalg.norm(np.diff(points, axis=0), axis=1).sum() < 0.11, finger.name
    mirrored = np.array([1, 1 if side == 'right' else -1, 1])
    thumb = next(p for f, p in zip(model.fingers, rest.finger_points(), strict=True)
                 if f.name == 'thumb')  # fmt: skip
    assert (thumb[-1] * mirrored)[1] > 0.05


def test_states_are_interpolated_joint_by_joint(tmp_path):
    model, _ = load_robot(hand({'thumb': 2, 'index': 2}), MeshFiles())
    a = RobotState(model, np.zeros(4), np.eye(4))
    moved = np.eye(4)
    moved[0, 3] = 1
    half = interpolate_robots(a, RobotState(model, np.ones(4), moved), 0.5)
    assert half.positions.tolist() == [0.5] * 4 and half.world_from_root[0, 3] == 0.5
    assert interpolate_robots(a, half, 0) is a
