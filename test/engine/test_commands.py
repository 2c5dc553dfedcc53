"""`manivideo engine`, and plans built in a process of their own."""

import os
import signal

import pytest
import yaml
from streams import spec_of

from manivideo_ros.engine.commands import main
from manivideo_ros.engine.parity import Parity
from manivideo_ros.engine.tensorrt.library import TensorRTError
from manivideo_ros.engine.tensorrt.plan_cache import NoPlanError
from manivideo_ros.engine.tensorrt.plans import PlanBuild, PlanJob


@pytest.fixture
def spec_file(checkpoint, tmp_path):
    def write(**fields):
        path = tmp_path / 'small.yaml'
        path.write_text(yaml.safe_dump({**spec_of(checkpoint).told(), **fields}))
        return str(path)

    return write


@pytest.fixture(scope='module')
def trt():
    return pytest.importorskip('tensorrt_rtx', reason='needs it: pip install tensorrt-rtx')


def test_the_list_has_what_ships_and_what_is_kept(capsys):
    assert main(['list']) == 0
    told = capsys.readouterr().out
    assert 'tiny             tiny 256x256 x 7 layers, 1 step(s), fp16 on auto' in told
    assert 'tiny_openvino' in told


def test_check_holds_what_works_here_to_torch_and_says_why_not_the_others(capsys):
    assert main(['check', '--threads', '1', '--frames', '8']) == 0
    told = capsys.readouterr().out
    assert 'ok   onnxruntime fp32: at most' in told and 'over 8 frames' in told
    assert '--   tensorrt: ' in told and '--   torch_cuda: ' in told


@pytest.mark.parametrize(
    ('precision', 'most', 'mean', 'psnr', 'held'),
    [
        ('fp32', 1, 0, 60, True), ('fp32', 2, 0, 60, False),
        ('fp16', 9, 3, 41, True), ('fp16', 9, 0, 39, False),
        ('int8', 30, 1.9, 39, True), ('int8', 1, 2.1, 60, False),
    ],
)  # fmt: skip
def test_what_is_near_enough_to_torch(precision, most, mean, psnr, held):
    assert Parity(most, mean, psnr).held(precision) == held


def test_bench_sets_each_beside_torch(spec_file, capsys):
    command = ['bench', spec_file(), '--threads', '1', '--frames', '6', '--backend', 'onnxruntime']
    assert main(command) == 0
    told = capsys.readouterr().out
    assert 'torch fp32: ' in told and 'times torch' in told


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_plans_are_built_ahead_for_gpus_that_are_not_here(trt, precision, spec_file, capsys):
    spec = spec_file(backend='tensorrt_rtx', precision=precision)
    assert main(['build', spec, '--capability', '8.9', '--capability', '12.0']) == 0
    plan = capsys.readouterr().out.split('plan, tensorrt_rtx: ')[1].strip()
    assert plan.endswith(f'small-64-1steps-{precision}-tensorrt_rtx-8.9-12.0.plan')
    assert main(['list']) == 0
    assert plan in capsys.readouterr().out


def test_a_capability_that_is_not_supported_is_named(trt, spec_file, capsys):
    assert main(['build', spec_file(backend='tensorrt_rtx'), '--capability', '9.0']) == 1
    assert 'does not support compute capability 9.0' in capsys.readouterr().err


def test_a_build_tells_how_far_it_is_and_what_it_made_is_kept(trt, checkpoint):
    job = PlanJob(spec_of(checkpoint, 'tensorrt_rtx'), 'tensorrt_rtx', ('8.9',))
    with pytest.raises(NoPlanError, match='not built yet'):
        job.load()
    build, seen = PlanBuild(job), []
    while not build.wait(0.01):
        seen.append(build.progress)
    assert build.error == '' and build.progress == 1.0 and build.phase == 'done'
    assert seen == sorted(seen)
    assert len(job.load()) > 100_000


def test_a_cancelled_build_keeps_nothing(trt, checkpoint):
    job = PlanJob(spec_of(checkpoint, 'tensorrt_rtx'), 'tensorrt_rtx', ('12.0',))
    build = PlanBuild(job)
    build.cancel()
    assert not build.running and build.error == 'the build was cancelled'
    with pytest.raises(NoPlanError):  # nor is it taken for one that failed
        job.load()


def test_a_builder_that_dies_is_told_as_one_line(trt, checkpoint):
    build = PlanBuild(PlanJob(spec_of(checkpoint, 'tensorrt_rtx'), 'tensorrt_rtx', ('12.0',)))
    os.kill(build._process.pid, signal.SIGSEGV)
    assert build.wait(30)
    assert build.error == 'the builder ended with -11: use another backend, as auto does'
    build._reader.join(60)  # it keeps the failure when the stream goes on already
    with pytest.raises(TensorRTError, match=r'last build failed \(the builder ended with -11'):
        build.job.load()


def test_what_cannot_be_read_is_an_error_of_one_line(spec_file, tmp_path, capsys):
    assert main(['check', 'nothing_like_it']) == 2
    assert "'nothing_like_it': is none of base_cuda, " in capsys.readouterr().err
    assert main(['bench', spec_file(checkpoint=str(tmp_path / 'no.safetensors'))]) == 2
    assert 'no.safetensors does not exist' in capsys.readouterr().err


def test_clean_removes_all_of_it(checkpoint, spec_file, capsys):
    assert main(['build', spec_file(backend='onnxruntime')]) == 0
    assert main(['clean']) == 0
    assert 'freed' in capsys.readouterr().out
    kept = checkpoint.parent / 'manivideo_ros'
    assert not [*kept.glob('*.onnx'), *(kept / 'plans').glob('*.plan')]
