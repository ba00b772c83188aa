"""A helper node beside a program that is no ROS node itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

Owner = TypeVar('Owner')


@contextmanager
def spinning_node(name: str, namespace: str, make: Callable[[Node], Owner]) -> Iterator[Owner]:
    """A node with a ROS context of its own, spinning in a thread until the block ends.

    Args:
        name: of the node, and of the thread.
        namespace: of the node.
        make: gives the object that has the node's publishers and subscriptions.
    """
    context = rclpy.Context()
    # Ctrl-C belongs to the command line, which cleans up; rclpy would take it away.
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name, namespace=namespace, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    owner = make(node)
    thread = threading.Thread(target=_spin, args=(executor,), name=name, daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        executor.shutdown()
        thread.join(timeout=5.0)
        node.destroy_node()
        context.try_shutdown()


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return
