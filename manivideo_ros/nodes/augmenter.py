"""The action server `synthesize`: a recorded bag in, variations of its video out."""

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
from manivideo_ros.augment.engine import engine_named
from manivideo_ros.augment.separate_process import FrameDone, Order, Started, run_in_process
from manivideo_ros.motion.files import load_motion
from manivideo_ros.objects.named import names_a_file
from manivideo_ros.process.folders import expanded
from manivideo_ros.ros.allowed_files import under
from manivideo_ros.ros.declare_parameters import declare
from manivideo_ros.ros.parameters import AugmenterParameters
from manivideo_ros.ros.spin import run

MOST = 10_000  # variations of one goal
SHUTDOWN_S = 8.0  # how long a shutdown waits for the current goal


class Augmenter(Node):
    """Works on one goal at a time, in a separate process.

    An invalid goal is accepted and aborted, because a rejection cannot contain the reason.
    """

    finished = False

    def __init__(self) -> None:
        super().__init__('augmenter')
        self.parameters = declare(self, AugmenterParameters)
        for name in ('bag_folders', 'out_folder'):
            if not getattr(self.parameters, name):
                raise ValueError(f'{name}: is empty: set it to a folder')
        self._at_work, self._stopped = threading.Lock(), threading.Event()
        self._server = ActionServer(
            self,
            Synthesize,
            'synthesize',
            self._execute,
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )
        self.get_logger().info(f'ready: episodes go to {self.parameters.out_folder}')

    def close(self) -> None:
        """Stop the current goal; its complete episodes remain."""
        self._stopped.set()
        self._at_work.acquire(timeout=SHUTDOWN_S)

    def _execute(self, goal: ServerGoalHandle) -> Synthesize.Result:
        """Execute a goal; runs in a thread of the executor while the other one serves requests."""
        result = Synthesize.Result()
        if not self._at_work.acquire(blocking=False):
            return self._refused(goal, result, 'busy with another goal: wait for it or cancel it')
        try:
            order = order_of(goal.request, self.parameters)
            self.get_logger().info(f'{order.bag}: {len(order.seeds)} variations')
            self._make(goal, order, result)
            summary = f'{len(result.bags)} of {len(order.seeds)} episodes are in {order.out}'
            if len(result.bags) < len(order.seeds) and not goal.is_cancel_requested:
                return self._refused(goal, result, f'the node was stopped: {summary}')
            self.get_logger().info(summary)
            result.message = summary
            result.success = len(result.bags) == len(order.seeds)
            (goal.succeed if result.success else goal.canceled)()
            return result
        except (ValueError, OSError) as error:
            return self._refused(goal, result, str(error))
        finally:
            self._at_work.release()

    def _make(self, goal: ServerGoalHandle, order: Order, result: Synthesize.Result) -> None:
        """Make the episodes; sets bags and frames of the result to those that are complete."""
        folders: Sequence[Path] = ()
        first = 0.0
        try:
            with run_in_process(order) as news:
                for event in news:
                    if goal.is_cancel_requested or self._stopped.is_set():
                        break
                    if isinstance(event, Started):
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
    """The order of a goal. Raises ValueError for a path that is not allowed."""
    bag = under(request.bag, parameters.bag_folders, 'bag_folders')
    for file in [*bag.glob('*.mcap*'), *bag.glob('*.db3*'), bag / 'metadata.yaml']:  # may be links
        under(str(file), parameters.bag_folders, 'bag_folders')
    for mesh in meshes_of(bag):  # recorded from a topic on which anyone may publish
        under(mesh, parameters.bag_folders, 'bag_folders')
    home = expanded(parameters.out_folder).resolve()
    out = under(str(home / request.output), [str(home)], 'out_folder')
    if not 1 <= request.variations <= MOST:
        raise ValueError(f'variations: must be 1 to {MOST}, is {request.variations}')
    engine = engine_named(parameters.engine, parameters.checkpoint)
    hands = str(expanded(parameters.hand_folder)) if parameters.hand_folder else ''
    seeds = range(request.seed, request.seed + request.variations)
    return Order(bag, out, seeds, engine, hands, tuple(request.cameras))


def meshes_of(bag: Path) -> list[str]:
    """The mesh files that a recording names, except those of installed packages.

    None where the recording is not a motion: that error is reported when it is processed.
    """
    try:
        tracks = load_motion(bag, camera=None).objects.values()
    except ValueError:
        return []
    return [track.mesh for track in tracks if names_a_file(track.mesh)]


def feedback(event: FrameDone, order: Order, seconds: float) -> Synthesize.Feedback:
    """The progress of a goal; seconds: since the first frame of this variation."""
    return Synthesize.Feedback(
        variation=event.seed - order.seeds.start,
        variations=len(order.seeds),
        frame=event.frame,
        frames=event.frames,
        rate_hz=(event.frame - 1) / seconds if event.frame > 1 and seconds > 0 else 0.0,
    )


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal."""
    # One thread executes the current goal, the other one serves requests.
    return run(Augmenter, args, lambda: MultiThreadedExecutor(2))


if __name__ == '__main__':
    sys.exit(main())
