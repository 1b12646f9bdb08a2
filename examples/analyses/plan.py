"""What a session draws: plots, and the turn that sets their parameters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np
from matplotlib.figure import Figure

T = TypeVar("T")


@dataclass(frozen=True)
class Turn:
    """One round of the analyses: its number from 1, and its random numbers."""

    number: int
    rng: np.random.Generator

    def pick(self, options: Sequence[T]) -> T:
        """The option whose turn it is; the first one in round 1."""
        return options[(self.number - 1) % len(options)]


@dataclass(frozen=True)
class Plot:
    """A plot to draw, and its place within the session."""

    project: str
    name: str
    draw: Callable[[], Figure]

    @property
    def path(self) -> PurePosixPath:
        return PurePosixPath(self.project, self.name)
