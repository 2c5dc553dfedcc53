"""What docs/troubleshooting.md quotes and no other test asserts word for word is produced here."""

import logging
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from intakes import MS, hand, hands

from manivideo_ros.camera.lens import lens_of
from manivideo_ros.commands import doctor
from manivideo_ros.engine.graph.cache import cache_folder
from manivideo_ros.engine.tensorrt import plans
from manivideo_ros.engine.tensorrt.plan_cache import PlanCacheError
from manivideo_ros.geometry import Camera
from manivideo_ros.nodes.recorder import Recorder
from manivideo_ros.objects.mesh import load_object
from manivideo_ros.process.start import import_problem
from manivideo_ros.ros.message_types import RCLPY
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.stream import engine_loader
from manivideo_ros.ros.stream.diagnostics import status

DOCUMENT = Path(__file__).resolve().parents[2] / 'docs' / 'troubleshooting.md'
QUOTES = re.findall(r'^> `(.+)`$', DOCUMENT.read_text(), re.MULTILINE)


def is_quoted(text, part):
    """Whether a text is the one quote that has this part; the document's … stands for anything."""
    (quote,) = [quote for quote in QUOTES if part in quote]
    pattern = '.*'.join(re.escape(piece) for piece in quote.split('…'))
    return re.search(pattern, text, re.DOTALL) is not None


def test_a_synthesizer_without_poses_reports_it():
    message = status(RCLPY.header(0, ''), {}, None, 0.05)
    assert is_quoted(message.status[0].message, 'no poses yet')


def test_hands_that_the_camera_does_not_see_are_reported(ready):
    problems = []
    for ms in range(0, 1200, 100):
        ready.take_hands(hands(ms, right=hand((0, -5, 0))), ms * MS)
        problems += ready.view(ms * MS)[1]
    assert any(is_quoted(problem, 'no hand is in') for problem in problems)


def test_a_fisheye_beyond_a_pinhole_is_refused():
    intrinsics = np.array([[270.0, 0, 320], [0, 270, 240], [0, 0, 1]])
    camera = Camera(intrinsics, np.eye(4), 640, 480)
    with pytest.raises(ValueError, match='lens') as refused:
        lens_of(camera, 'equidistant', (1e-6, 0.0, 0.0, 0.0))
    assert is_quoted(str(refused.value), 'sees too much')


def test_the_doctor_names_a_full_shared_memory_and_other_users(monkeypatch):
    monkeypatch.setattr(doctor.shutil, 'disk_usage', lambda _: SimpleNamespace(free=0, total=1))
    assert is_quoted(doctor.shared_memory().fix, 'fastrtps')
    usage = SimpleNamespace(free=2**30, total=2**30)
    monkeypatch.setattr(doctor.shutil, 'disk_usage', lambda _: usage)
    monkeypatch.setattr(doctor, 'owners', lambda _: {12345})
    assert is_quoted(doctor.shared_memory().found, 'segments of user')


def test_a_cache_that_cannot_be_written_is_named(monkeypatch, tmp_path, caplog):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    folder = cache_folder()
    assert folder.is_dir() and tmp_path not in folder.parents
    assert is_quoted(caplog.messages[-1], 'is not writable')


def test_kernels_that_cannot_be_cached_are_reported(monkeypatch, caplog):
    def full(*_):
        raise PlanCacheError('no space left on device')

    job = object.__new__(plans.PlanJob)
    monkeypatch.setattr(plans, 'plan_cache', lambda: SimpleNamespace(store=full))
    monkeypatch.setattr(plans.PlanJob, '_made_from', lambda _: (b'', {}, []))
    monkeypatch.setattr(plans.PlanJob, '_kernels_name', 'kernels', raising=False)
    job.keep_kernels(b'kernels')
    assert is_quoted(caplog.messages[-1], 'kernels are not')


def test_a_bag_that_the_disk_has_no_room_for_says_how_to_complete_it(tmp_path):
    def full():
        raise OSError(28, 'No space left on device')

    lines = []
    log = SimpleNamespace(info=lambda _: None, error=lines.append)
    node = SimpleNamespace(
        get_logger=lambda: log, _counted=lambda: '', counts={}, _waiting=[], status=0,
        _maker=SimpleNamespace(provenance=''), bag=SimpleNamespace(folder=tmp_path, close=full),
    )  # fmt: skip
    Recorder.close(node)
    assert node.status == 1 and is_quoted(lines[0], 'cannot be completed')


def test_an_engine_that_fails_to_load_leaves_the_one_that_serves(monkeypatch):
    reports = []

    def fail(*_):
        raise RuntimeError('out of memory')

    monkeypatch.setattr(engine_loader, 'GraphPreparation', Mock())
    monkeypatch.setattr(engine_loader, 'engine_of', fail)
    loader = engine_loader.EngineLoader('tiny', None, None, lambda *output: reports.append(output))
    loader.request(NodeParameters(), 1, (640, 480))
    thread = loader._thread
    if thread is not None:
        thread.join(10)
    ((text, failed),) = reports
    assert failed and is_quoted(text, 'engine not changed')
    loader.request(NodeParameters(), 1, (640, 480))  # the same may be requested again
    thread = loader._thread
    assert thread is not None or len(reports) == 2
    if thread is not None:
        thread.join(10)


@pytest.mark.parametrize(('module', 'part'), [('torch', 'activate'), ('manivideo_ros.msg', 'make')])
def test_a_missing_import_says_what_to_do(module, part):
    text = import_problem(ModuleNotFoundError(f"No module named '{module}'", name=module))
    assert any(
        re.search('.*'.join(map(re.escape, quote.split('…'))), text)
        for quote in QUOTES
        if quote.startswith(part)
    )


def test_a_texture_that_is_not_there_is_named_with_what_stands_in_for_it(tmp_path, caplog):
    caplog.set_level(logging.WARNING)
    (tmp_path / 'plate.obj').write_text(
        'mtllib plate.mtl\nusemtl painted\n'
        'v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n'
    )
    (tmp_path / 'plate.mtl').write_text('newmtl painted\nmap_Kd gone.png\n')
    with pytest.warns(UserWarning, match='gone') as warned:
        load_object(tmp_path / 'plate.obj', 1.0)
    assert any(is_quoted(str(warning.message), 'shown instead') for warning in warned)


def test_every_tool_that_the_document_names_is_installed():
    for command in set(re.findall(r'`(rosbags-convert)\b', DOCUMENT.read_text())):
        assert shutil.which(command), command
