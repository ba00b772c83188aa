"""The lifecycle node: camera images in, tracks out.

configure loads the model and warms it up, activate subscribes, deactivate unsubscribes, cleanup
frees. With `autostart` the process does the first two by itself.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]  # Humble: only here
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from centertrack_ros.ros.camera import Camera, check_names
from centertrack_ros.ros.diagnostics import CameraInfoState, NodeState, diagnostics_to_msg
from centertrack_ros.ros.logs import forward_logs
from centertrack_ros.ros.parameters import NodeParameters
from centertrack_ros.ros.session import Session
from centertrack_ros.ros.statistics import Report, Statistics
from centertrack_ros.ros.stop_request import StopRequest
from centertrack_ros.ros.subscription import (
    CameraInfoSubscription,
    ImageSubscription,
    camera_info_topic,
    image_topic,
    subscribe,
)
from centertrack_ros.settings import Settings

DIAGNOSTICS_PERIOD = 1.0
# Python sees a signal only between two waits for messages.
SIGNAL_PERIOD = 0.2
SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class TrackerNode(LifecycleNode):
    """Topics, services and parameters of the tracker; the work is done by `Worker`."""

    def __init__(self, **arguments: Any) -> None:
        """Declare the parameters and offer the services.

        Args:
            arguments: of `rclpy.lifecycle.LifecycleNode`, without the name.

        Raises:
            ValueError: a parameter has the wrong type or is out of range, or a camera cannot be
                named so.
        """
        super().__init__('tracker', **arguments)
        self._session: Session | None = None
        # One per camera while images are wanted.
        self._image_subscriptions: list[ImageSubscription] = []
        self._camera_info_subscriptions: list[CameraInfoSubscription] = []
        self._is_active = False
        self._is_enabled = True
        self._tracker_parameters = NodeParameters(self, self._apply)
        check_names(self.settings.cameras)
        self._offer_reset('~/reset', self._camera_names)
        for name in self.settings.cameras:
            self._offer_reset(f'~/{name}/reset', (name,))
        self.create_service(SetBool, '~/enable', self._on_enable)
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        # Simulated time may stand still, and the diagnostics should not.
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=clock)

    @property
    def settings(self) -> Settings:
        """The parameters in force."""
        return self._tracker_parameters.settings

    @property
    def _camera_names(self) -> tuple[str, ...]:
        return self.settings.cameras or ('',)

    def autostart(self) -> bool:
        """Configure and activate, unless the parameter says no. Returns False if that fails."""
        if not self.settings.autostart:
            self.get_logger().info('autostart is off: waiting to be configured')
            return True
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def close(self) -> None:
        """Free everything, in whatever state the node and the middleware are."""
        self._unsubscribe()
        self._close_session()
        self.destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model."""
        return self._guarded('configure', self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Open the publishers, start the worker with an empty tracker, subscribe."""

        def activate() -> None:
            super(TrackerNode, self).on_activate(state)
            try:
                self._activate()
            except Exception:
                self._deactivate()
                super(TrackerNode, self).on_deactivate(state)
                raise

        return self._guarded('activate', activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe, finish the step under way, close the publishers."""

        def deactivate() -> None:
            self._deactivate()
            super(TrackerNode, self).on_deactivate(state)

        return self._guarded('deactivate', deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model."""
        return self._guarded('cleanup', self._close_session)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model, from whatever state."""

        def shut_down() -> None:
            self._deactivate()
            self._close_session()

        return self._guarded('shutdown', shut_down)

    def _guarded(self, name: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        """Run the action of a transition; rclpy would swallow its exceptions without a word."""
        try:
            action()
        except Exception as error:  # also what an engine's library raises
            expected = isinstance(error, ValueError | OSError | ImportError | RuntimeError)
            self.get_logger().error(
                f'{name} failed: {error if expected else traceback.format_exc()}'
            )
            return FAILURE
        return SUCCESS

    def _configure(self) -> None:
        self._session = Session.create(self, self.settings)

    def _activate(self) -> None:
        self._required_session().start()
        self._is_active = True
        if self._is_enabled:
            self._subscribe()

    def _deactivate(self) -> None:
        self._unsubscribe()
        self._is_active = False
        if self._session is not None:
            self._session.stop()

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _required_session(self) -> Session:
        if self._session is None:
            raise ValueError('no model is loaded: configure the node first')
        return self._session

    def _subscribe(self) -> None:
        session = self._required_session()
        self._image_subscriptions, self._camera_info_subscriptions = subscribe(
            self, session.cameras, session.worker.submit, self.settings
        )
        topics = ', '.join(subscription.name for subscription in self._image_subscriptions)
        self.get_logger().info(f'waiting for images on {topics}')

    def _unsubscribe(self) -> None:
        for image in self._image_subscriptions:
            image.destroy()
        for camera_info in self._camera_info_subscriptions:
            camera_info.destroy()
        self._image_subscriptions, self._camera_info_subscriptions = [], []

    def _apply(self, settings: Settings) -> None:
        """Take over live settings; ValueError: one of them cannot be."""
        if self._session is not None:  # otherwise configure reads them
            self._session.update(settings, announce=self._is_active)

    def _offer_reset(self, service: str, names: tuple[str, ...]) -> None:
        """Offer a service that starts the trackers of these cameras anew."""

        def on_reset(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success = self._session is not None
            if self._session is None:
                response.message = 'not configured: there is nothing to reset'
                return response
            cameras = [camera for camera in self._session.cameras if camera.name in names]
            self._session.reset(f'service {service}', cameras)
            response.message = 'the tracker starts anew with the next image'
            return response

        self.create_service(Trigger, service, on_reset)

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        changed = self._is_enabled != request.data
        self._is_enabled = bool(request.data)
        if self._is_active and changed:
            if self._is_enabled:
                self._subscribe()
            else:
                self._unsubscribe()
        response.success = True
        response.message = 'enabled' if self._is_enabled else 'disabled'
        return response

    def _publish_diagnostics(self) -> None:
        """One status per camera."""
        rows = [self._camera_state(index) for index in range(len(self._camera_names))]
        self._diagnostics.publish(diagnostics_to_msg(rows, self.get_clock().now().to_msg()))

    def _camera_state(self, index: int) -> tuple[Report, NodeState]:
        name = self._camera_names[index]
        if self._image_subscriptions:
            topic = self._image_subscriptions[index].name
        else:
            topic = image_topic(self, name, self.settings.image_transport)
        state = NodeState(
            name=self.get_fully_qualified_name(),
            camera=name,
            life_cycle=self._life_cycle(),
            image_topic=topic,
            publishers=self.count_publishers(topic),
        )
        session = self._session
        if session is None:
            return Statistics().report(), state
        engine = session.engine
        camera = session.cameras[index]
        state = replace(
            state,
            model=session.spec.name,
            engine=engine.name,
            device=engine.device,
            camera_info=self._camera_info_state(camera),
        )
        return camera.statistics.report(), state

    def _camera_info_state(self, camera: Camera) -> CameraInfoState | None:
        if camera.calibration is None:
            return None
        topic = camera_info_topic(self, camera.name)
        return CameraInfoState(topic, self.count_publishers(topic), camera.calibration.problem)

    def _life_cycle(self) -> str:
        if self._is_active:
            return 'active' if self._is_enabled else 'disabled'
        return 'unconfigured' if self._session is None else 'inactive'


def main(args: list[str] | None = None) -> int:
    """Run the node until it is told to stop. Returns the exit code."""
    stop = StopRequest()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        return _run(stop)
    except ExternalShutdownException:
        return 0
    finally:
        rclpy.try_shutdown()
        stop.ignore()


def _run(stop: StopRequest) -> int:
    try:
        node = TrackerNode()
    except ValueError as error:
        get_logger('tracker').fatal(str(error))
        return 1
    forward_logs('centertrack_ros', node.get_logger())
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if not node.autostart():
            node.get_logger().fatal('cannot start: see the error above')
            return 1
        while not stop.requested:
            executor.spin_once(timeout_sec=SIGNAL_PERIOD)
    finally:
        executor.shutdown()
        node.close()
    return 0


if __name__ == '__main__':
    sys.exit(main())
