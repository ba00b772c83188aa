"""The node's ROS parameters: declared from the one table, checked by it, changed live."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.exceptions import ParameterException
from rclpy.node import Node

from centertrack_ros.settings import Parameter, Settings, parameters


class NodeParameters:
    """Declares the parameters of a node and keeps their values as `Settings`.

    Attributes:
        settings: the values in force.
    """

    def __init__(self, node: Node, apply: Callable[[Settings], None]) -> None:
        """Declare and read all parameters.

        Args:
            node: where they are declared.
            apply: takes over changed live settings; raises ValueError if it cannot, and then has
                changed nothing.

        Raises:
            ValueError: a value has the wrong type or is out of range; the message holds both
                what was expected and what was received.
        """
        self._apply = apply
        values: dict[str, Any] = {}
        for row in parameters():
            try:
                declared = node.declare_parameter(row.name, _to_ros(row.default), _descriptor(row))
            except ParameterException as error:
                raise ValueError(f'{row.name}: {error} (expected {_expected(row)})') from error
            values[row.name] = _from_ros(row.default, declared.value)
        try:
            self.settings = Settings.from_mapping(values)
        except TypeError as error:
            raise ValueError(str(error)) from error
        # Not add_post_set_parameters_callback, which Humble lacks: `_on_set` checks everything
        # first and applies it in the same call.
        node.add_on_set_parameters_callback(self._on_set)

    def _on_set(self, changes: Sequence[Any]) -> SetParametersResult:
        """Check all changes together, then apply them; rclpy guards types and read-only."""
        values = vars(self.settings)
        # Others declare parameters here too: use_sim_time, for one.
        known = {
            change.name: _from_ros(values[change.name], change.value)
            for change in changes
            if change.name in values
        }
        if not known:
            return SetParametersResult(successful=True)
        try:
            settings = Settings.from_mapping({**values, **known})
            self._apply(settings)
        except (ValueError, TypeError) as error:
            return SetParametersResult(successful=False, reason=str(error))
        self.settings = settings
        return SetParametersResult(successful=True)


def _descriptor(row: Parameter) -> ParameterDescriptor:
    descriptor = ParameterDescriptor(description=row.description, read_only=not row.live)
    if row.choices:
        descriptor.additional_constraints = _expected(row)
    if row.minimum is not None and row.maximum is not None:
        if isinstance(row.default, int):
            span = IntegerRange(from_value=int(row.minimum), to_value=int(row.maximum), step=1)
            descriptor.integer_range = [span]
        else:
            bounds = FloatingPointRange(
                from_value=float(row.minimum), to_value=float(row.maximum), step=0.0
            )
            descriptor.floating_point_range = [bounds]
    return descriptor


def _expected(row: Parameter) -> str:
    kind = 'list of strings' if row.default == () else type(row.default).__name__
    if row.choices:
        return f'one of {", ".join(row.choices)}'
    if row.minimum is None or row.maximum is None:
        return kind
    return f'{kind} from {row.minimum:g} to {row.maximum:g}'


def _to_ros(value: Any) -> Any:
    # rclpy cannot tell what an empty list is a list of.
    return (list(value) or ['']) if isinstance(value, tuple) else value


def _from_ros(like: Any, value: Any) -> Any:
    """Undo `_to_ros`; `class_filter: []` in a file arrives as None."""
    return [item for item in value or () if item] if isinstance(like, tuple) else value
