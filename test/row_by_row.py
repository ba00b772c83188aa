"""An engine for batches, whatever the file on the disk takes."""

import numpy as np

from centertrack_ros.datatypes import Candidates


class RowByRow:
    """A real engine that runs the images of a batch one after the other, and keeps its calls."""

    max_batch = None

    def __init__(self, engine):
        self.engine = engine
        self.calls = []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    @property
    def sizes(self):
        """Images of each call."""
        return [len(images) for images, _, _ in self.calls]

    def run(self, *inputs):
        self.calls.append(inputs)
        rows = [
            vars(self.engine.run(*(array[row : row + 1] for array in inputs)))
            for row in range(len(inputs[0]))
        ]
        merged = {
            name: None if values is None else np.concatenate([row[name] for row in rows])
            for name, values in rows[0].items()
        }
        return Candidates(**merged)
