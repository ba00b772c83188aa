"""Small real trainings for the tests of the loop: a network of a million weights, eight frames."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import train
from training.assembly import assemble
from training.checkpoint import Checkpoint
from training.config import TrainConfig
from training.config_file import load_config
from training.data.tiny import write_tiny_set
from training.distributed import ALONE
from training.stopping import StopRequest
from training.trainer import Trainer

# Four steps per epoch.
CONFIG = """
name: tiny
run: run
seed: 3
model:
  architecture: mobilenetv4_small
  classes: [disc, square, triangle]
  heads: [hm, ltrb, reg, tracking]
  box: ltrb
  input_height: 64
  input_width: 64
  thresholds: {detection: 0.1, track: 0.3, birth: 0.3, prior: 0.3}
  licence: MIT
data:
  train: [{kind: coco, annotations: set/annotations.json, images: set/images}]
optimisation: {warmup_steps: 2}
loop:
  epochs: 2
  batch_size: 2
  workers: 0
  device: cpu
  log_every: 1
  pictures_every: 0
"""


def make_workplace(folder: Path) -> None:
    """Write `config.yaml` and the set that it names, to be used from inside `folder`."""
    write_tiny_set('video', folder / 'set', frames=8, size=(64, 64))
    (folder / 'config.yaml').write_text(CONFIG)


def tiny_config(*overrides: str) -> TrainConfig:
    """The configuration of the present folder."""
    return load_config(Path('config.yaml'), overrides)


def tiny_trainer(*overrides: str) -> Trainer:
    """Its trainer, before the first step."""
    return assemble(tiny_config(*overrides), ALONE).trainer


def train_until(step: int, config: TrainConfig, monkeypatch: pytest.MonkeyPatch, *,
                resume: bool = False) -> Checkpoint:  # fmt: skip
    """Train, and ask for the end while step `step` is made; the checkpoint that is left."""
    stop = StopRequest()
    make_step = Trainer.train_step

    def stopping(self, batch):
        result = make_step(self, batch)
        stop.requested = self.step == step
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, 'train_step', stopping)
        return Checkpoint.load(train.run(config, resume=resume, stop=stop))
