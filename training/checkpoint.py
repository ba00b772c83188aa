"""Checkpoints: weights with all that is needed to use them, resume, and trace their origin."""

from __future__ import annotations

import os
import pickle
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from centertrack_ros.model_spec import ModelSpec
from training.models import build_network

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Checkpoint:
    """One moment of a training.

    Attributes:
        spec: sizes, classes and heads of the model.
        weights: averaged (EMA) weights, the ones to evaluate and export.
        step: optimiser steps done.
        seed: seed of the run.
        commit: git commit of the code, `+` appended where the tree was changed.
        config: the training configuration as a plain mapping.
        training_state: raw weights, optimiser and all else that an exact resume needs; empty
            where the checkpoint is for use only.
    """

    spec: ModelSpec
    weights: dict[str, Tensor]
    step: int
    seed: int
    commit: str
    config: dict[str, Any]
    training_state: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write to `path`; an interrupted write leaves the old file untouched.

        Raises:
            OSError: it cannot be written; the text has the path, and no partial file is left.
        """
        write_tensors(path, {**vars(self), 'spec': self.spec.to_dict(), 'format': FORMAT_VERSION})

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is no checkpoint of this project.
        """
        wrong = (
            f'{path} is not a centertrack_ros checkpoint of format {FORMAT_VERSION} '
            '(training.import_checkpoint makes one of weights of CenterTrack or CenterNet)'
        )
        try:
            document = torch.load(path, map_location='cpu', weights_only=True)
        except pickle.UnpicklingError as error:
            # PyTorch's text would have people load it unsafely.
            raise ValueError(wrong) from error
        except (RuntimeError, EOFError) as error:
            raise ValueError(f'{wrong}: {str(error).splitlines()[0]}') from error
        if not isinstance(document, dict) or document.pop('format', None) != FORMAT_VERSION:
            raise ValueError(wrong)
        return cls(**{**document, 'spec': ModelSpec.from_dict(document['spec'])})

    def network(self) -> nn.Module:
        """The network with the averaged weights, loaded strictly, in evaluation mode."""
        network = build_network(self.spec)
        network.load_state_dict(self.weights)
        return network.eval()


def write_tensors(path: Path, document: Mapping[str, Any]) -> None:
    """Write `document` with torch.save, whole or not at all.

    Raises:
        OSError: it cannot be written; the text has the path, and no partial file is left.
    """
    partial = path.with_suffix('.partial')
    try:
        with partial.open('wb') as file:
            torch.save(dict(document), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        # torch.save says RuntimeError where the disk is full.
        partial.unlink(missing_ok=True)
        raise OSError(f'{path}: could not be written: {error}') from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def git_commit() -> str:
    """Commit of the working tree, `unknown` outside a repository."""
    folder = Path(__file__).parent
    command = ['git', '-C', str(folder), 'describe', '--always', '--dirty=+', '--abbrev=12']
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return 'unknown'
    return result.stdout.strip() or 'unknown'
