"""Video messages: their types, and the images of a topic in their order."""

import json
import sys
from pathlib import Path

import av
import pytest
from videos import encoded, message_of, moving, psnr

from manivideo_ros.messages.names import COMPRESSED, IMAGE, PACKET, VIDEO
from manivideo_ros.messages.types import ROSBAGS, decoded, definition, serialized, typestore
from manivideo_ros.messages.video import (
    ImageReader,
    image_stamp_ns,
    is_shown,
    topic_of_images,
)
from manivideo_ros.messages.video_types import DEFINITIONS

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROSBAGS.header(1_500_000_007, 'cam')


def sent(message):
    """A message as it arrives."""
    return decoded(bytes(serialized(message)), message.__msgtype__)


@pytest.mark.parametrize('kind', [VIDEO, PACKET])
def test_a_video_is_read_as_it_was_built(kind):
    reader = ImageReader()
    for index, packet in enumerate(encoded(4)):
        message = sent(message_of(packet, kind, HEADER))
        assert image_stamp_ns(message) == 1_500_000_007
        assert is_shown(message) == (index == 0)
        assert psnr(reader.read(message), moving(index)) > 31
    assert reader.before == 0


def test_the_fields_are_those_that_viewers_read():
    packet = encoded(1)[0]
    video = sent(ROSBAGS.video(HEADER, packet))
    assert (video.frame_id, video.format) == ('cam', 'h264')
    other = sent(ROSBAGS.packet(HEADER, packet, (64, 48)))
    assert other.encoding.split(';')[:2] == ['h264', 'yuv420p']
    assert (other.width, other.height, other.flags, other.pts) == (64, 48, 1, 0)
    assert bytes(other.data) == bytes(video.data) == packet.data


def test_the_padding_of_an_odd_size_is_cut_where_the_message_has_the_size():
    packet = encoded(1, 65, 47)[0]
    assert ImageReader().read(message_of(packet, PACKET, HEADER, (65, 47))).shape == (47, 65, 3)
    assert ImageReader().read(message_of(packet, VIDEO, HEADER)).shape == (48, 66, 3)


def test_messages_before_the_first_key_frame_show_nothing():
    packets, reader = encoded(32), ImageReader()
    images = [reader.read(message_of(p, VIDEO, HEADER)) for p in packets[28:]]
    assert [image is None for image in images] == [True, True, False, False]
    assert reader.before == 2 and psnr(images[2], moving(30)) > 31


def test_other_images_are_read_as_before():
    image = moving(0)
    assert (ImageReader().read(sent(ROSBAGS.image(HEADER, image))) == image).all()
    assert psnr(ImageReader().read(sent(ROSBAGS.jpeg(HEADER, image))), image) > 25
    assert (
        is_shown(ROSBAGS.image(HEADER, image))
        and image_stamp_ns(ROSBAGS.jpeg(HEADER, image)) == 1_500_000_007
    )


def test_what_cannot_be_decoded_names_its_field_and_what_to_do():
    packet = encoded(1)[0]
    other = message_of(packet, VIDEO, HEADER)
    other.format = 'h265'
    with pytest.raises(ValueError, match=r"^format: 'h265' is not read: publish or convert it as"):
        ImageReader().read(other)
    other = message_of(packet, PACKET, HEADER)
    other.encoding = 'hevc;yuv420p;bgr8;rgb8'
    with pytest.raises(ValueError, match=r"^encoding: 'hevc' is not read"):
        is_shown(other)
    cut = message_of(packet, VIDEO, HEADER)
    cut.data = cut.data[:-20]
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    with pytest.raises(ValueError, match=r'^data: is cut off or damaged'):
        ImageReader().read(cut)
    av.logging.set_level(level)


def test_the_topic_that_holds_the_images_is_found():
    types = {'/a/foxglove': VIDEO, '/a/compressed': COMPRESSED, '/b': IMAGE, '/c/ffmpeg': PACKET}
    assert topic_of_images(types, '/a') == '/a/foxglove'
    assert topic_of_images(types, '/a/compressed') == '/a/compressed'
    assert topic_of_images(types, '/b') == '/b'
    assert topic_of_images(types, '/c') == '/c/ffmpeg'
    assert topic_of_images(types, '/d') is None


def test_the_definition_is_the_one_that_is_built():
    file = ROOT / 'cmake' / 'foxglove_msgs' / 'msg' / 'CompressedVideo.msg'
    assert file.read_text() == DEFINITIONS[VIDEO]
    assert definition(VIDEO)[0].startswith(DEFINITIONS[VIDEO])
    built = Path(sys.prefix) / 'share' / 'foxglove_msgs' / 'msg' / 'CompressedVideo.json'
    if built.is_file():
        hashes = json.loads(built.read_text())['type_hashes']
        found = {h['type_name']: h['hash_string'] for h in hashes}
        assert found[VIDEO] == typestore().hash_rihs01(VIDEO)


def test_the_fields_are_in_the_published_order():
    """CDR has no names: a field out of order would be read as another."""
    fields = {kind: [name for name, _ in typestore().fielddefs[kind][1]] for kind in DEFINITIONS}
    assert fields[VIDEO] == ['timestamp', 'frame_id', 'data', 'format']
    assert fields[PACKET] == [
        'header', 'width', 'height', 'encoding', 'pts', 'flags', 'is_bigendian', 'data'
    ]  # fmt: skip
