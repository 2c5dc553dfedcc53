"""A motion played through the synthesizer without ROS."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation_samples import short_motion

from manivideo_ros.evaluation.suites.offline import main, measure
from manivideo_ros.model.checkpoint import SHIPPED, read_config, save_checkpoint
from manivideo_ros.model.patch.network import ManiVideoNet


class BaseSession:
    """Session stub of an untrained model: the frame is the base image."""

    size, reference_size, background_size, layers, num_points = (256, 256), 128, 128, 7, 2048
    inputs = None  # no input buffers

    def set_scene(self, *references):
        pass

    def predict(
        self, normal_map, occlusion_confidence, visible_normal, horizon, base, skeleton=None
    ):
        return np.ascontiguousarray(base.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)

    def reset(self):
        pass


def test_the_painted_baseline_is_the_synthesizers_own_base_image(tmp_path):
    painted = tmp_path / 'painted.safetensors'
    network = ManiVideoNet(replace(read_config(SHIPPED), base='painted'))
    save_checkpoint(network.state_dict(), network.config, painted)
    quality, rows = measure(BaseSession(), painted, short_motion(3), seed=3, frames=2)
    result = quality.result()
    assert result['generated'] == pytest.approx(result['painted'], abs=1e-9)
    assert [len(row) for row in rows.values()] == [3, 3]


def test_a_missing_motion_gives_one_line_and_status_2(tmp_path, capsys):
    assert main(['--motion', str(tmp_path / 'absent')]) == 2
    assert capsys.readouterr().err.count('\n') == 1
