"""A simulator as the source: poses under /clock, paused, reset, faster than real time."""

import os
import time

from labs import READY_S, lab_in, running
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from manivideo_ros.messages.read import stamp_ns
from manivideo_ros.process.node_processes import environment, free_domain
from manivideo_ros.ros.message_types import RCLPY

BEGIN, AGAIN = 100_000_000_000, 10_000_000_000


class Simulator:
    """Publishes /clock and the poses of a motion under its own time."""

    def __init__(self, lab):
        self.lab, self.now_ns, self.index, self.sent = lab, BEGIN, 0, []
        self.clock = lab.create_publisher(Clock, '/clock', 10)

    def step(self, step_ns):
        self.now_ns += step_ns
        self.clock.publish(Clock(clock=RCLPY.header(self.now_ns, '').stamp))
        sample = self.lab.motion.frame(self.index % len(self.lab.motion))
        self.index += 1
        stamped = RCLPY.header(self.now_ns, 'world')
        camera = RCLPY.camera(RCLPY.header(self.now_ns, 'cam'), self.lab.motion.camera)
        self.lab.info.publish(camera)
        self.lab.objects.publish(RCLPY.objects(stamped, sample.objects))
        self.lab.hands.publish(RCLPY.hands(stamped, sample.hands, 'default'))
        self.sent.append(self.now_ns)
        self.lab.spin(0.05)

    def until(self, seconds, step_ns, done):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not done():
            self.step(step_ns)
        assert done()


def logged(process, text):
    return any(text in line for line in process.lines)


def test_simulated_time_may_pause_be_reset_and_run_fast(shipped, images, motion):
    domain = free_domain(int(os.environ['ROS_DOMAIN_ID']) + 1)
    parameters = {'checkpoint': str(shipped), 'use_sim_time': True, **images}
    with (
        running('synthesizer_node', parameters, environment(domain)) as process,
        lab_in(domain, motion) as lab,
    ):
        process.wait_for('active', 3 * READY_S)
        lab.listen(Image, 'image_raw')
        images = lab.got['image_raw']
        simulator = Simulator(lab)
        simulator.until(60, 33_000_000, lambda: len(images) >= 5)
        assert {stamp_ns(m.header) for m in images} <= set(simulator.sent)
        # A pause of the simulator: nothing is late, and nothing fades.
        before, shown = len(process.lines), len(images)
        lab.spin(2.0)
        assert not [line for line in process.lines[before:] if 'faded out' in line]
        assert len(images) <= shown + 2
        # After a reset no frame shows earlier poses, even if one of them arrives late.
        images.clear()
        simulator.now_ns = AGAIN
        simulator.sent.clear()
        reset = '/clock was set back: all poses dropped'
        simulator.until(60, 33_000_000, lambda: logged(process, reset))
        late = RCLPY.hands(RCLPY.header(BEGIN + 10**9, 'world'), motion.frame(0).hands, 'default')
        end = time.monotonic() + 60
        while time.monotonic() < end and not logged(process, 'before /clock was set back'):
            lab.hands.publish(late)
            lab.spin(0.1)
        simulator.until(60, 33_000_000, lambda: len(images) >= 8)
        stamps = [stamp_ns(m.header) for m in images]
        assert stamps == sorted(set(stamps)), 'no frame twice'
        assert stamps[0] in simulator.sent and AGAIN < stamps[-1] <= simulator.now_ns
        assert logged(process, 'header.stamp: before /clock was set back: dropped')
        # Eight times as fast as real time: every frame is of poses that were sent.
        images.clear()
        before = len(process.lines)
        simulator.until(60, 400_000_000, lambda: len(images) >= 5)
        assert {stamp_ns(m.header) for m in images[1:]} <= set(simulator.sent)
        assert not [line for line in process.lines[before:] if 'faded out' in line]
