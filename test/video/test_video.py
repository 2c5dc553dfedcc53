"""H.264, one packet per image: what goes in comes out, or is refused."""

from fractions import Fraction

import av
import numpy as np
import pytest
from videos import PERIOD_NS, encoded, moving, psnr

from manivideo_ros.video.decoder import VideoDecoder
from manivideo_ros.video.encoder import VideoEncoder
from manivideo_ros.video.packets import is_key, read_packet

SMALL = 31  # dB, of 64x48 pixels: edges of colour are a larger share


@pytest.fixture(autouse=True)
def quiet():
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    yield
    av.logging.set_level(level)


@pytest.mark.parametrize('size', [(640, 480), (256, 256), (322, 242)])
def test_a_decoded_video_is_the_encoded_one(size):
    decoder = VideoDecoder()
    for index, packet in enumerate(encoded(40, *size)):
        assert packet.number == index
        assert psnr(decoder.decode(packet.data), moving(index, *size)) > 36


def test_an_odd_size_is_made_even_by_repeating_the_edge():
    image = VideoDecoder().decode(encoded(1, 641, 481)[0].data)
    assert image.shape == (482, 642, 3)
    assert psnr(image[:481, :641], moving(0, 641, 481)) > 36
    assert psnr(image[481], image[480]) > 36 and psnr(image[:, 641], image[:, 640]) > 36


def test_there_is_a_key_frame_a_second():
    keys = [i for i, packet in enumerate(encoded(95)) if packet.key]
    assert keys == [0, 30, 60, 90]
    assert keys == [i for i, packet in enumerate(encoded(95)) if is_key(packet.data)]


def test_a_slow_or_restarted_stream_has_key_frames_too():
    encoder = VideoEncoder()
    stamps = [0, 700_000_000, 1_400_000_000, 1_500_000_000, 5_000_000, 6_000_000]
    keys = [encoder.encode(moving(i), stamp).key for i, stamp in enumerate(stamps)]
    assert keys == [True, True, True, False, True, False]


def test_key_frames_have_their_parameters_and_come_when_asked_for():
    encoder = VideoEncoder()
    packets = [encoder.encode(moving(i), i * PERIOD_NS, key=i == 5) for i in range(8)]
    assert [p.key for p in packets] == [i in (0, 5) for i in range(8)]
    decoder = VideoDecoder()
    for index in (5, 6, 7):
        assert packets[index].data.startswith(b'\0\0\0\1')
        assert psnr(decoder.decode(packets[index].data), moving(index)) > SMALL


def test_frames_that_were_never_encoded_do_not_matter():
    encoder, decoder = VideoEncoder(), VideoDecoder()
    for index in (0, 1, 5, 6, 11, 40, 41):
        image = decoder.decode(encoder.encode(moving(index), index * PERIOD_NS).data)
        assert psnr(image, moving(index)) > SMALL


def test_a_new_size_begins_with_a_key_frame():
    encoder, decoder = VideoEncoder(), VideoDecoder()
    for index, size in enumerate([(64, 48), (64, 48), (96, 48), (96, 48)]):
        packet = encoder.encode(moving(index, *size), index * PERIOD_NS)
        assert packet.key == (index in (0, 2))
        assert decoder.decode(packet.data).shape == (size[1], size[0], 3)


def test_colours_survive():
    encoder = VideoEncoder()
    for colour in ((200, 60, 30), (20, 180, 90), (30, 40, 220), (255, 255, 255), (0, 0, 0)):
        image = np.full((48, 64, 3), colour, np.uint8)
        packet = encoder.encode(image, 0, key=True)
        shown = VideoDecoder().decode(packet.data).reshape(-1, 3).mean(0)
        np.testing.assert_allclose(shown, colour, atol=4)


def test_a_video_without_its_begin_is_refused_until_a_key_frame():
    packets, decoder = encoded(32), VideoDecoder()
    with pytest.raises(ValueError, match='before the first key frame'):
        decoder.decode(packets[3].data)
    assert psnr(decoder.decode(packets[30].data), moving(30)) > SMALL


def test_missing_packets_are_noticed():
    packets, decoder = encoded(32), VideoDecoder()
    decoder.decode(packets[0].data)
    decoder.decode(packets[1].data)
    with pytest.raises(ValueError, match='frame 3 of its group, after frame 1: frames between'):
        decoder.decode(packets[3].data)
    assert decoder.decode(packets[30].data).shape == (48, 64, 3)


@pytest.mark.parametrize('which', [0, 1])
def test_a_packet_that_is_cut_off_is_refused_or_shown_nearly_whole(which):
    """The last bytes may be stuffing; what is decoded without them differs by some grey levels."""
    packets = encoded(2, 320, 240)
    refused = 0
    for left in range(4, len(packets[which].data) - 1, 97):
        decoder = VideoDecoder()
        if which:
            decoder.decode(packets[0].data)
        try:
            image = decoder.decode(packets[which].data[:left])
        except ValueError:
            refused += 1
        else:
            assert psnr(image, moving(which, 320, 240)) > 30
    assert refused > 0


@pytest.mark.parametrize('data', [b'', b'abc', b'\0\0\1', b'\0\0\1\x67', b'\0\0\1\x67' + bytes(99)])
def test_bytes_that_are_no_h264_are_refused(data):
    with pytest.raises(ValueError, match=r'is cut off|is no H\.264'):
        VideoDecoder().decode(data)


def test_packets_are_described_without_decoding_them():
    """Frame numbers count up within a group."""
    sequence = None
    for index, packet in enumerate(encoded(33)):
        found = read_packet(packet.data, sequence)
        sequence = found.sequence
        assert found.key == packet.key and found.number == index % 30 % sequence.numbers


@pytest.mark.parametrize('profile', ['baseline', 'main', 'high', 'high444'])
def test_other_profiles_are_read(profile):
    context = av.CodecContext.create('libx264', 'w')
    context.width, context.height = 64, 48
    context.pix_fmt = 'yuv444p' if profile == 'high444' else 'yuv420p'
    context.options = {'tune': 'zerolatency', 'profile': profile}
    if profile.startswith('high'):
        context.options |= {'x264-params': 'cqm=jvt'}  # with scaling lists
    context.time_base = Fraction(1, 30)
    decoder = VideoDecoder()
    for index in range(6):
        frame = av.VideoFrame.from_ndarray(moving(index), format='rgb24')
        frame.pts = index
        (packet,) = context.encode(frame)
        assert psnr(decoder.decode(bytes(packet)), moving(index)) > 30


def test_b_frames_are_refused():
    context = av.CodecContext.create('libx264', 'w')
    context.width, context.height, context.pix_fmt = 64, 48, 'yuv420p'
    context.time_base, context.max_b_frames = Fraction(1, 30), 2
    packets = []
    for index in range(12):
        frame = av.VideoFrame.from_ndarray(moving(index), format='rgb24')
        frame.pts = index
        packets += context.encode(frame)
    packets += context.encode(None)
    decoder = VideoDecoder()

    def decode():
        for packet in packets:
            decoder.decode(bytes(packet))

    with pytest.raises(ValueError, match='without B-frames'):
        decode()
