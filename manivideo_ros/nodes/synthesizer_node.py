"""The lifecycle node of the synthesizer: poses in, video out.

`configure` loads the engine; frames are made while the node is active.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.service import Service
from std_msgs.msg import String

from manivideo_ros.files.errors import reason_of
from manivideo_ros.ros.allowed_files import check_change_of_files
from manivideo_ros.ros.declare_parameters import declare, read
from manivideo_ros.ros.logs import core_logs, heartbeat
from manivideo_ros.ros.parameters import NodeParameters
from manivideo_ros.ros.qos import STATE
from manivideo_ros.ros.sources.robot_description import TOPIC, received
from manivideo_ros.ros.spin import run
from manivideo_ros.srv import SetScene

if TYPE_CHECKING:  # these import torch and Warp, which takes seconds that the node reports
    from manivideo_ros.ros.stream.frame_publishers import FramePublishers
    from manivideo_ros.ros.stream.scene import LiveScene
    from manivideo_ros.ros.stream.stream import Stream

SUCCESS = TransitionCallbackReturn.SUCCESS


class SynthesizerNode(LifecycleNode):
    """Loads the scene, runs the stream while active, changes the scene on request."""

    finished = False

    def __init__(self) -> None:
        super().__init__('synthesizer')
        self._logs = ExitStack()
        self._logs.enter_context(core_logs(self))
        self._scene: LiveScene | None = None
        self.parameters = declare(self, NodeParameters, self._unlocked, self._check_change)
        self.add_post_set_parameters_callback(self._parameters_changed)
        self.error = ''
        self._stream: Stream | None = None
        self._frames: FramePublishers | None = None
        self._service: Service | None = None
        self._objects: Publisher | None = None

    @property
    def frames_out(self) -> int:
        """Number of frames since the activation."""
        return self._stream.frames_out if self._stream is not None else 0

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the engine and the scene, create the topics."""
        with heartbeat(self, 'loading torch and Warp'):
            from manivideo_ros.ros.stream.frame_publishers import FramePublishers
            from manivideo_ros.ros.stream.scene import scene_from_parameters
        try:
            description = self._description()
            with heartbeat(self, 'loading the model'):
                self._scene = scene_from_parameters(self.parameters, description)
        except (ValueError, RuntimeError, OSError) as error:  # rclpy would not report it
            return self._failed(error)
        self._frames = FramePublishers(self)
        self._service = self.create_service(SetScene, 'set_scene', self._set_scene)
        self._objects = self.create_publisher(String, 'scene', STATE)
        self._objects.publish(String(data=self._scene.objects_json))
        self.get_logger().info(f'engine: {self._scene.engine.why}')
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start the stream."""
        from manivideo_ros.ros.stream.stream import Stream

        assert self._scene is not None and self._frames is not None
        try:
            self._stream = Stream(self, self._scene, self._frames, self.parameters)
        except (ValueError, OSError) as error:  # e.g. the checkpoint was removed
            return self._failed(error)
        self.get_logger().info('active: waiting for poses')
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the stream; the engine stays loaded."""
        self._stop()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the engine and the topics."""
        self.close()
        return SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything after an error in a transition; the node can be configured again."""
        self.get_logger().error(f'error in {state.label}: the node is unconfigured again')
        self.close()
        return SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything and end the node."""
        self.close()
        self.finished = True
        return SUCCESS

    def close(self) -> None:
        """Stop the stream after the current frame and release what `configure` created."""
        self._stop()
        if self._frames is not None:
            self._frames.destroy()
        if self._service is not None:
            self.destroy_service(self._service)
        if self._objects is not None:
            self.destroy_publisher(self._objects)
        if self._scene is not None:
            self._scene.engine.close()
        self._frames = self._service = self._objects = self._scene = None

    def _stop(self) -> None:
        if self._stream is not None:
            self._stream.stop()
            self._stream = None

    def _description(self) -> str:
        """The URDF of the topic robot_description, '' where none is asked for."""
        asked = self.parameters.embodiment == 'robot' and self.parameters.robot == TOPIC
        if not asked:
            return ''
        with heartbeat(self, f'waiting for {TOPIC}'):
            return received(self)

    def _failed(self, error: Exception) -> TransitionCallbackReturn:
        self.error = reason_of(error, None)
        self.get_logger().error(self.error)
        return TransitionCallbackReturn.FAILURE

    def destroy_node(self) -> None:
        """Also stop forwarding the package's logs."""
        self._logs.close()
        super().destroy_node()

    def _set_scene(
        self, request: SetScene.Request, response: SetScene.Response
    ) -> SetScene.Response:
        assert self._scene is not None and self._objects is not None
        change = partial(self._scene.change, request, self.parameters.scene_folders)
        try:
            response.message = self._stream.change_scene(change) if self._stream else change()
            response.success = True
            self._objects.publish(String(data=self._scene.objects_json))
        except ValueError as error:
            response.message = str(error)
        return response

    def _unlocked(self, name: str) -> bool:
        """Whether a parameter may change now: until `configure` reads it, except scene_folders."""
        return self._scene is None and name not in ('autostart', 'scene_folders')

    def _check_change(self, changed: Mapping[str, Any]) -> None:
        check_change_of_files(changed, self.parameters)
        if self._scene is not None and changed.keys() & {'engine', 'checkpoint'}:
            from manivideo_ros.ros.stream.engine_loader import check_engine

            check_engine(replace(self.parameters, **changed))

    def _parameters_changed(self, _: object) -> None:
        self.parameters = read(self, NodeParameters)
        if self._stream is not None:
            self._stream.set_parameters(self.parameters)


def started() -> SynthesizerNode:
    """The node, activated if `autostart` is true. Raises ValueError if it cannot start."""
    node = SynthesizerNode()
    if node.parameters.autostart and (
        node.trigger_configure() != SUCCESS or node.trigger_activate() != SUCCESS
    ):
        raise ValueError(node.error or 'the synthesizer did not start')
    return node


def main(args: list[str] | None = None) -> int:
    """Run the node until a signal."""
    return run(started, args)


if __name__ == '__main__':
    sys.exit(main())
