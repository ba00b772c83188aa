"""The node and its parts: the only place that imports ROS."""
