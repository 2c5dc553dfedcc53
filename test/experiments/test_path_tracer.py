"""The comparison with a path tracer, as far as it goes without one."""

import sys

import numpy as np

from experiments import path_tracer
from manivideo_ros.data.scenes.scene import sample_scene


def test_without_mitsuba_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'mitsuba', None)
    assert path_tracer.main([]) == 2
    assert 'pip install mitsuba' in capsys.readouterr().err


def test_scenes_become_matte_and_keep_their_light():
    scene, materials = path_tracer.matte(sample_scene(1, 'test'))
    assert {material.gloss for material in materials} == {0.0}
    light, covered, table, parts = path_tracer.rendered(scene, materials)
    assert covered.sum() > 500 and table.sum() > 500 and not (covered & table).any()
    assert light[covered].mean() > 0.02
    start, surface, _ = parts['surfaces'][-1]
    corners = parts['vertices'][surface.faces + start]
    assert np.isfinite(corners).all() and corners[..., 2].min() > -0.01, 'above the table'
