"""The size of a picture."""

MAX_ASPECT_RATIO = 4
"""Largest height of a picture, as a multiple of the requested width."""


def fit(size: tuple[float, float], width: int, *, enlarges: bool = False) -> tuple[int, int]:
    """The size in pixels of a picture of this width, narrower if it would be too high; no larger unless `enlarges`."""
    scale = min(width / size[0], MAX_ASPECT_RATIO * width / size[1])
    scale = scale if enlarges else min(1.0, scale)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fit_square(size: tuple[int, int], side: int) -> tuple[int, int]:
    """The size in pixels of a picture with no side longer than this, no larger than it is."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
