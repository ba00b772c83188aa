"""CenterTrack for ROS 2: camera images in, tracked objects with stable ids out."""

__version__ = '0.1.0'
