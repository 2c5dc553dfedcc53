"""The message types of H.264 video, defined as their packages publish them."""

from __future__ import annotations

from manivideo_ros.messages.names import PACKET, VIDEO

FORMAT = 'h264'  # of a CompressedVideo
ENCODING = 'h264;yuv420p;rgb8;rgb8'  # codec, its pixels, what they are made from, the topic's own
KEY = 1  # flag of an FFMPEGPacket that can be decoded by itself (AV_PKT_FLAG_KEY)
# As published by foxglove_msgs and ffmpeg_image_transport_msgs, whose comments are left out.
DEFINITIONS = {
    VIDEO: """\
# One image of a video. Format h264: in Annex B's byte stream format, without B-frames.
builtin_interfaces/Time timestamp
string frame_id
uint8[] data
string format
""",
    PACKET: """\
# One packet of a video. The encoding begins with the codec and its pixel format: h264;yuv420p
std_msgs/Header header
int32 width
int32 height
string encoding
uint64 pts
uint8 flags
bool is_bigendian
uint8[] data
""",
}
