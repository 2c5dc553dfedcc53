"""Answers the action `synthesize`: a recorded bag in, variations of its video out."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node

from manivideo_ros.action import Synthesize
from manivideo_ros.augment.apart import Begun, FrameDone, Order, made_apart
from manivideo_ros.augment.engine import engine_named
from manivideo_ros.motion.files import load_motion
from manivideo_ros.objects.named import names_a_file
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros.allowed_files import under
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.parameters import AugmenterParameters
from manivideo_ros.ros.spin import run

MOST = 10_000  # variations of one goal
END_S = 8.0  # how long an end waits for the goal in work


class Augmenter(Node):
    """Works on one goal at a time, in a process of its own.

    A goal that cannot be met is accepted and aborted: a rejection has no room for the reason.
    """

    finished = False

    def __init__(self) -> None:
        super().__init__('augmenter')
        self.parameters = declare(self, AugmenterParameters)
        for name in ('bag_folders', 'out_folder'):
            if not getattr(self.parameters, name):
                raise ValueError(f'{name}: is empty: name a folder')
        self._at_work, self._stopped = threading.Lock(), threading.Event()
        self._server = ActionServer(
            self,
            Synthesize,
            'synthesize',
            self._answer,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )
        self.get_logger().info(f'ready: episodes go to {self.parameters.out_folder}')

    def close(self) -> None:
        """Stop the goal in work; what is whole of it stays."""
        self._stopped.set()
        self._at_work.acquire(timeout=END_S)

    def _answer(self, goal: ServerGoalHandle) -> Synthesize.Result:
        """What a goal came to; runs in a thread of the executor's while others answer."""
        result = Synthesize.Result()
        if not self._at_work.acquire(blocking=False):
            return self._refused(goal, result, 'busy with another goal: wait for it or cancel it')
        try:
            order = order_of(goal.request, self.parameters)
            self.get_logger().info(f'{order.bag}: {len(order.seeds)} variations')
            self._make(goal, order, result)
            told = f'{len(result.bags)} of {len(order.seeds)} episodes are in {order.out}'
            if len(result.bags) < len(order.seeds) and not goal.is_cancel_requested:
                return self._refused(goal, result, f'the node was stopped: {told}')
            self.get_logger().info(told)
            result.message = told
            result.success = len(result.bags) == len(order.seeds)
            (goal.succeed if result.success else goal.canceled)()
            return result
        except (ValueError, OSError) as error:
            return self._refused(goal, result, str(error))
        finally:
            self._at_work.release()

    def _make(self, goal: ServerGoalHandle, order: Order, result: Synthesize.Result) -> None:
        """Fill in bags and frames, of whatever is whole in the end."""
        folders: Sequence[Path] = ()
        first = 0.0
        try:
            with made_apart(order) as news:
                for event in news:
                    if goal.is_cancel_requested or self._stopped.is_set():
                        break
                    if isinstance(event, Begun):
                        folders = event.folders
                        for line in event.warnings:
                            self.get_logger().warning(line)
                    elif isinstance(event, FrameDone):
                        first = time.monotonic() if event.frame == 1 else first
                        result.frames += 1
                        goal.publish_feedback(feedback(event, order, time.monotonic() - first))
        finally:
            result.bags = [str(folder) for folder in folders if folder.exists()]

    def _refused(
        self, goal: ServerGoalHandle, result: Synthesize.Result, reason: str
    ) -> Synthesize.Result:
        self.get_logger().warning(reason)
        result.message = reason
        goal.abort()
        return result


def order_of(request: Synthesize.Goal, parameters: AugmenterParameters) -> Order:
    """What a goal asks for. Raises ValueError for what it may not name."""
    bag = under(request.bag, parameters.bag_folders, 'bag_folders')
    for file in [*bag.glob('*.mcap*'), bag / 'metadata.yaml']:  # which may be links
        under(str(file), parameters.bag_folders, 'bag_folders')
    for mesh in meshes_of(bag):  # that anybody may have told on the topic that was recorded
        under(mesh, parameters.bag_folders, 'bag_folders')
    home = expanded(parameters.out_folder).resolve()
    out = under(str(home / request.output), [str(home)], 'out_folder')
    if not 1 <= request.variations <= MOST:
        raise ValueError(f'variations: must be 1 to {MOST}, is {request.variations}')
    engine = engine_named(parameters.engine, parameters.checkpoint)
    hands = str(expanded(parameters.hand_folder)) if parameters.hand_folder else ''
    return Order(bag, out, range(request.seed, request.seed + request.variations), engine, hands)


def meshes_of(bag: Path) -> list[str]:
    """The files that a recording names as meshes, but for those of installed packages; none where
    it is no motion: that is told later, by whoever works on it."""
    try:
        tracks = load_motion(bag).objects.values()
    except ValueError:
        return []
    return [track.mesh for track in tracks if names_a_file(track.mesh)]


def feedback(event: FrameDone, order: Order, seconds: float) -> Synthesize.Feedback:
    """How far a goal is; seconds: since the first frame of this variation."""
    return Synthesize.Feedback(
        variation=event.seed - order.seeds.start,
        variations=len(order.seeds),
        frame=event.frame,
        frames=event.frames,
        rate_hz=(event.frame - 1) / seconds if event.frame > 1 and seconds > 0 else 0.0,
    )


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop."""
    # One thread waits for the goal in work, the other answers.
    return run(Augmenter, args, lambda: MultiThreadedExecutor(2))


if __name__ == '__main__':
    sys.exit(main())
