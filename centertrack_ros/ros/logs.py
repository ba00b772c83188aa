"""What the modules without ROS log, in the log of the node."""

from __future__ import annotations

import logging
from typing import Any


class RosHandler(logging.Handler):
    """Hands records of Python's logging to a ROS logger."""

    def __init__(self, logger: Any) -> None:
        """Take the ROS logger that the records shall go to."""
        super().__init__()
        self._ros_logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        text = record.getMessage()
        # rclpy fixes the severity of each line of code that logs: one line for each.
        if record.levelno >= logging.ERROR:
            self._ros_logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._ros_logger.warning(text)
        elif record.levelno >= logging.INFO:
            self._ros_logger.info(text)
        else:
            self._ros_logger.debug(text)


def forward_logs(package: str, logger: Any) -> RosHandler:
    """Send all records of a package to a ROS logger, which decides what is shown."""
    handler = RosHandler(logger)
    package_logger = logging.getLogger(package)
    package_logger.setLevel(logging.DEBUG)
    package_logger.addHandler(handler)
    return handler
