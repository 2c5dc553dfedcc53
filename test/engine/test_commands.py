"""`manivideo engine`, and plan builds in a separate process."""

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
        path.write_text(yaml.safe_dump({**spec_of(checkpoint).as_dict(), **fields}))
        return str(path)

    return write


@pytest.fixture(scope='module')
def trt():
    return pytest.importorskip('tensorrt_rtx', reason='needs it: pip install tensorrt-rtx')


def test_list_prints_the_specifications(capsys):
    assert main(['list']) == 0
    printed = capsys.readouterr().out
    assert 'tiny             tiny 256x256 x 7 layers, 1 step(s), fp16 on auto' in printed
    assert 'tiny_openvino' in printed


def test_check_compares_the_available_backends_and_explains_the_others(capsys):
    assert main(['check', '--threads', '1', '--frames', '8']) == 0
    printed = capsys.readouterr().out
    assert 'ok   onnxruntime fp32: at most' in printed and 'over 8 frames' in printed
    assert '--   tensorrt: ' in printed and '--   torch_cuda: ' in printed


@pytest.mark.parametrize(
    ('precision', 'most', 'mean', 'psnr', 'held'),
    [
        ('fp32', 1, 0, 60, True), ('fp32', 2, 0, 60, False),
        ('fp16', 9, 3, 41, True), ('fp16', 9, 0, 39, False),
        ('int8', 30, 1.9, 39, True), ('int8', 1, 2.1, 60, False),
    ],
)  # fmt: skip
def test_the_parity_threshold_depends_on_the_precision(precision, most, mean, psnr, held):
    assert Parity(most, mean, psnr).held(precision) == held


@pytest.mark.parametrize(('steps', 'most', 'held'), [(1, 2, False), (4, 4, True), (4, 5, False)])
def test_the_parity_threshold_of_fp32_grows_with_the_steps(steps, most, held):
    assert Parity(most, 0.1, 60).held('fp32', steps) == held
    assert Parity(9, 0, 39).held('fp16', steps) is False


def test_bench_compares_each_backend_with_torch(spec_file, capsys):
    command = ['bench', spec_file(), '--threads', '1', '--frames', '6', '--backend', 'onnxruntime']
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert 'torch fp32: ' in printed and 'times torch' in printed


@pytest.mark.parametrize('precision', ['fp32', pytest.param('fp16', marks=pytest.mark.long)])
def test_plans_can_be_built_for_gpus_that_are_not_present(trt, precision, spec_file, capsys):
    spec = spec_file(backend='tensorrt_rtx', precision=precision)
    assert main(['build', spec, '--capability', '8.9', '--capability', '12.0']) == 0
    plan = capsys.readouterr().out.split('plan, tensorrt_rtx: ')[1].strip()
    assert plan.endswith(f'small-64-1steps-{precision}-tensorrt_rtx-8.9-12.0.plan')
    assert main(['list']) == 0
    assert plan in capsys.readouterr().out


def test_an_unsupported_capability_is_named(trt, spec_file, capsys):
    assert main(['build', spec_file(backend='tensorrt_rtx'), '--capability', '9.0']) == 1
    assert 'does not support compute capability 9.0' in capsys.readouterr().err


def test_a_build_reports_its_progress_and_stores_the_plan(trt, checkpoint):
    job = PlanJob(spec_of(checkpoint, 'tensorrt_rtx'), 'tensorrt_rtx', ('8.9',))
    with pytest.raises(NoPlanError, match='not built yet'):
        job.load()
    build, seen = PlanBuild(job), []
    while not build.wait(0.01):
        seen.append(build.progress)
    assert build.error == '' and build.progress == 1.0 and build.phase == 'done'
    assert seen == sorted(seen)
    assert len(job.load()) > 100_000


def test_a_cancelled_build_stores_nothing(trt, checkpoint):
    job = PlanJob(spec_of(checkpoint, 'tensorrt_rtx'), 'tensorrt_rtx', ('12.0',))
    build = PlanBuild(job)
    build.cancel()
    assert not build.running and build.error == 'the build was cancelled'
    with pytest.raises(NoPlanError):  # and it does not count as failed
        job.load()


def test_a_builder_that_crashes_is_reported_in_one_line(trt, checkpoint):
    build = PlanBuild(PlanJob(spec_of(checkpoint, 'tensorrt_rtx'), 'tensorrt_rtx', ('12.0',)))
    os.kill(build._process.pid, signal.SIGSEGV)
    assert build.wait(30)
    assert build.error == 'the builder ended with -11: use another backend, as auto does'
    build._reader.join(60)  # the failure is recorded after `wait` returns
    with pytest.raises(TensorRTError, match=r'last build failed \(the builder ended with -11'):
        build.job.load()


def test_an_unreadable_specification_or_checkpoint_is_an_error_of_one_line(
    spec_file, tmp_path, capsys
):
    assert main(['check', 'nothing_like_it']) == 2
    assert "'nothing_like_it': is none of base_cuda, " in capsys.readouterr().err
    assert main(['bench', spec_file(checkpoint=str(tmp_path / 'no.safetensors'))]) == 2
    assert 'no.safetensors does not exist' in capsys.readouterr().err


def test_clean_removes_all_graphs_and_plans(checkpoint, spec_file, capsys):
    assert main(['build', spec_file(backend='onnxruntime')]) == 0
    assert main(['clean']) == 0
    assert 'freed' in capsys.readouterr().out
    cache = checkpoint.parent / 'manivideo_ros'
    assert not [*cache.glob('*.onnx'), *(cache / 'plans').glob('*.plan')]
