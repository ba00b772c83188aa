"""A drawn world with exact truth, to learn and to measure boxes in space.

Cars, cyclists and pedestrians made of textured prisms move on a plane past a pinhole camera that
moves itself. Coordinates of the world: x right, y down, z forward as the first camera looks, y = 0
on the ground, metres; yaws turn about y as in `centertrack_ros.camera_geometry`, radians.
"""
