"""The policy experiment: the expert lifts the cube, intervals, continued runs, disjoint tests."""

import json
import os
import subprocess
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.policy import run, training
from experiments.policy.demonstrations import ACTION, STATE, write_demonstrations
from experiments.policy.expert import SPEED, expert_actions
from experiments.policy.gripper import JOINTS, OPEN, ROOT, gripper_urdf
from experiments.policy.intervals import wilson
from experiments.policy.looks import CONDITIONS, changed_look, recorded_look
from experiments.policy.report import markdown, report
from experiments.policy.settings import SMOKE, Settings, keep_settings
from experiments.policy.simulator import AREA, Simulator, random_start
from experiments.policy.variations import write_variations
from manivideo_ros.bags.bag import BagReader
from manivideo_ros.motion.files import load_motion
from manivideo_ros.robot.model import load_robot_file


@given(count=st.integers(1, 500), data=st.data())
def test_wilsons_interval_contains_the_share_and_mirrors(count, data):
    successes = data.draw(st.integers(0, count))
    rate, failed = wilson(successes, count), wilson(count - successes, count)
    assert 0 <= rate.low <= rate.share <= rate.high <= 1
    assert (rate.low, rate.high) == pytest.approx((1 - failed.high, 1 - failed.low))


def test_wilsons_interval_is_the_published_one():
    assert wilson(8, 10)[1:] == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=1e-4)
    with pytest.raises(ValueError, match='3 successes of 2'):
        wilson(3, 2)


def test_the_renderer_reads_the_simulators_urdf(tmp_path):
    file = tmp_path / 'gripper.urdf'
    file.write_text(gripper_urdf())
    model, problems = load_robot_file(file)
    assert not problems and model.root == ROOT and model.moving == {*JOINTS}
    assert {*np.unique(model.face_part)} == {1, 2, 3}  # palm and two fingers
    assert ElementTree.fromstring(gripper_urdf()).get('name') == model.name


def test_the_expert_moves_steadily_to_the_cube_closes_and_lifts():
    start = random_start(4)
    actions = np.array(list(expert_actions(start)))
    assert (np.linalg.norm(np.diff(actions[:, :3], axis=0), axis=1) <= SPEED + 1e-9).all()
    lowest = actions[:, 2].argmin()
    assert actions[lowest, :2] == pytest.approx((start.x, start.y))
    assert actions[0, 3] == OPEN and actions[-1, 3] == 0 and actions[-1, 2] > actions[lowest, 2]


def test_starts_are_in_the_area_and_repeat():
    starts = [random_start(n) for n in range(50)]
    assert all(abs(s.x) <= AREA[0] and abs(s.y) <= AREA[1] for s in starts)
    assert starts[7] == random_start(7) and len({s.y for s in starts}) == 50


def test_conditions_change_what_they_name_and_nothing_else():
    recorded = recorded_look()
    changed = {
        'background': {'table', 'wall'}, 'light': {'light', 'diffuse', 'ambient'},
        'object': {'cube'}, 'unchanged': set(),
    }  # fmt: skip
    changed['all'] = set().union(*changed.values())
    assert {*changed} == {*CONDITIONS}
    for condition, names in changed.items():
        look = changed_look(condition, 3)
        differing = {
            name for name, value in vars(look).items()
            if not np.array_equal(value, getattr(recorded, name))
        }  # fmt: skip
        assert differing == names
    assert (changed_look('all', 3).table == changed_look('background', 3).table).all()
    with pytest.raises(ValueError, match="'fog' is none of unchanged"):
        changed_look('fog', 0)


def test_settings_may_grow_and_not_change(tmp_path):
    keep_settings(tmp_path, SMOKE)
    keep_settings(tmp_path, Settings(**{**vars(SMOKE), 'seeds': (0, 1)}))
    assert json.loads((tmp_path / 'settings.json').read_text())['seeds'] == [0, 1]
    with pytest.raises(ValueError, match='was made with steps 2, not 3'):
        keep_settings(tmp_path, Settings(**{**vars(SMOKE), 'steps': 3}))
    with pytest.raises(ValueError, match='is none of the arms'):
        Settings(arms=('magic',))


def finish(folder, step):
    weights = folder / 'train' / 'checkpoints' / f'{step:06d}' / 'pretrained_model'
    weights.mkdir(parents=True)
    for name in ('model.safetensors', 'train_config.json'):
        (weights / name).write_text('{}')
    last = weights.parents[1] / 'last'
    last.unlink(missing_ok=True)
    last.symlink_to(weights.parent)
    return weights


def test_an_interrupted_training_is_continued_and_a_finished_one_kept(tmp_path, monkeypatch):
    settings, calls = Settings(steps=10), []

    def lerobot(command, **_):
        calls.append(command[3:])
        if len(calls) == 3:
            finish(tmp_path / 'run', 10)
        if len(calls) == 1:
            finish(tmp_path / 'run', 5)
        return subprocess.CompletedProcess(command, int(len(calls) < 3))

    monkeypatch.setattr(subprocess, 'run', lerobot)
    for _ in range(2):
        with pytest.raises(RuntimeError, match='training failed: see'):
            training.train(tmp_path, True, 3, settings, tmp_path / 'run')
    weights = training.train(tmp_path, True, 3, settings, tmp_path / 'run')
    assert training.train(tmp_path, True, 3, settings, tmp_path / 'run') == weights
    assert len(calls) == 3 and '--dataset.image_transforms.enable=true' in calls[0]
    assert '--resume=true' in calls[1] and '--resume=true' in calls[2]


def test_a_tested_policy_is_neither_trained_nor_tested_again(tmp_path):
    folder = tmp_path / 'runs' / 'both_0'
    folder.mkdir(parents=True)
    (folder / run.ROLLOUTS).write_text(json.dumps({'all': [True, False]}))
    text = run.run_one('both', 0, tmp_path / 'missing', Settings(), tmp_path)
    assert text == "both, seed 0: {'all': '1/2'}"


def test_the_report_pairs_runs_of_one_seed():
    never, always = ({c: [value] * 4 for c in CONDITIONS} for value in (False, True))
    found = {'demonstrations': {0: never, 1: never}, 'variations': {0: always}}
    results = report(Settings(), found, {})
    assert results['success']['demonstrations']['all']['rollouts'] == 8
    assert results['gains']['variations over demonstrations']['all']['mean'] == 1
    assert '| `variations` | 1 | 100 [51, 100] |' in markdown(results)
    assert json.loads(json.dumps(results))['gains'].keys() == {'variations over demonstrations'}


@pytest.fixture(scope='module')
def simulator():
    pytest.importorskip('mujoco')
    try:
        return Simulator(32)
    except Exception as error:  # each of its ways to render has exceptions of its own
        pytest.skip(f'mujoco cannot render ({os.environ.get("MUJOCO_GL")}): {error}')


def test_the_expert_lifts_the_cube(simulator):
    for seed in range(3):
        start = random_start(seed)
        simulator.reset(start)
        assert simulator.cube[:2, 3] == pytest.approx((start.x, start.y))
        for action in expert_actions(start):
            simulator.step(action)
        assert simulator.lifted


def test_looks_change_the_images(simulator):
    simulator.reset(random_start(1))
    images = []
    for condition in CONDITIONS:
        simulator.look(changed_look(condition, 0))
        images.append(simulator.image().astype(int))
    assert images[0].shape == (32, 32, 3)
    assert all(np.abs(image - images[0]).mean() > 0.2 for image in images[1:])


@pytest.mark.long
def test_a_demonstration_is_varied_with_its_states_and_camera(simulator, shipped, tmp_path):
    bags = write_demonstrations(tmp_path / 'recorded', 1, 32)
    before = (bags[0] / 'metadata.yaml').stat().st_mtime_ns
    assert write_demonstrations(tmp_path / 'recorded', 1, 32) == bags
    assert (bags[0] / 'metadata.yaml').stat().st_mtime_ns == before
    write_variations(bags, tmp_path / 'recorded', tmp_path / 'varied', 1, 1)
    made, recorded = BagReader(tmp_path / 'varied' / 'lift_000_seed0'), BagReader(bags[0])
    for topic in (STATE, ACTION, '/object_poses'):
        rows = [[bytes(m.data) for m in reader.messages([topic])] for reader in (recorded, made)]
        assert rows[0] == rows[1] and rows[0]
    views = [load_motion(bag).camera.camera_from_world for bag in (bags[0], made.path)]
    np.testing.assert_allclose(*views, atol=1e-9)
