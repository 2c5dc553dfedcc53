"""The messages of a motion's frames, built for rosbags."""

from manivideo_ros.messages.types import ROSBAGS


def hands_message(motion, index):
    header = ROSBAGS.header(motion.stamps_ns[index], motion.frame_id)
    return ROSBAGS.hands(header, motion.frame(index).hands, motion.hand_model)


def objects_message(motion, index):
    header = ROSBAGS.header(motion.stamps_ns[index], motion.frame_id)
    return ROSBAGS.objects(header, motion.frame(index).objects)
