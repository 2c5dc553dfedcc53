"""Which topics the recorder records."""

import pytest

from manivideo_ros.nodes.recorder import label_topics


def test_labels_are_recorded_in_the_namespace_of_each_video():
    topics = ['hand_poses', 'front/image_raw', '/wrist/image_raw', 'front/camera_info', '/tf']
    assert label_topics(['mask', 'layers'], topics) == [
        'front/mlo/mask', '/wrist/mlo/mask',
        'front/mlo/normals', 'front/mlo/confidence',
        '/wrist/mlo/normals', '/wrist/mlo/confidence',
    ]  # fmt: skip


def test_without_a_video_labels_are_those_of_the_own_namespace():
    assert label_topics(['keypoints'], ['hand_poses']) == ['hand_keypoints']
    assert label_topics([], ['front/image_raw']) == []
    with pytest.raises(ValueError, match='labels: smell'):
        label_topics(['smell'], ['front/image_raw'])
