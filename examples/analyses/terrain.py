"""The session `terrain`: the Jacksboro fault in Tennessee, and Vancouver Island with its sea floor."""

from functools import partial

from . import heights, profiles, slopes
from .plan import Plot, Turn
from .samples import jacksboro, vancouver


def plots(turn: Turn) -> list[Plot]:
    return [*of_relief(turn), *of_slopes(turn), *of_coast(turn), *of_profiles(turn)]


def of_relief(turn: Turn) -> list[Plot]:
    grid = jacksboro()
    colours, side = turn.pick(heights.RELIEF_COLOURS), turn.pick((1, 9, 21))
    draws = {
        "correlation_plot.png": partial(slopes.correlations, grid, turn.pick((1, 5, 9)), "RdBu_r"),
        "subfolder/histogram.svg": partial(heights.distribution, grid, side),
        "hillshade.jpg": partial(heights.hillshade, grid, turn.pick((315, 225, 45)), colours),
        "contours.png": partial(heights.contours, grid, turn.pick((100, 50, 80))),
        "subfolder/hypsometric_curve.png": partial(heights.hypsometry, grid, side),
    }
    return [Plot("project_jacksboro", name, draw) for name, draw in draws.items()]


def of_slopes(turn: Turn) -> list[Plot]:
    grid, side = jacksboro(), turn.pick((3, 7, 11))
    draws = {
        "correlation_plot.png": partial(slopes.correlations, grid, side, "PuOr_r"),
        "subfolder/histogram.svg": partial(slopes.distribution, grid, side),
        "slope_map.jpg": partial(slopes.slope_map, grid, side, turn.pick(("magma", "viridis", "inferno"))),
        "aspect_rose.png": partial(slopes.aspect_rose, grid, turn.pick((5.0, 10.0, 20.0))),
    }
    return [Plot("project_slopes", name, draw) for name, draw in draws.items()]


def of_coast(turn: Turn) -> list[Plot]:
    grid, side = vancouver(), turn.pick((1, 3, 5))
    draws = {
        "correlation_plot.png": partial(slopes.correlations, grid, side, "BrBG_r"),
        "subfolder/histogram.svg": partial(heights.distribution, grid, side),
        "relief.jpg": partial(heights.coast, grid, turn.pick((315, 270, 20))),
        "subfolder/hypsometric_curve.png": partial(heights.hypsometry, grid, side),
    }
    return [Plot("project_vancouver_island", name, draw) for name, draw in draws.items()]


def of_profiles(turn: Turn) -> list[Plot]:
    grid, count = jacksboro(), turn.pick((10, 8, 12))
    south = 18.0 if turn.number == 1 else float(turn.rng.integers(2, 28))
    draws = {
        "correlation_plot.png": partial(profiles.correlations, grid, count, "RdBu_r"),
        "subfolder/histogram.svg": partial(profiles.distribution, grid, turn.pick((5, 11, 21))),
        "ridge_lines.png": partial(profiles.ridge_lines, grid, turn.pick((36, 28, 46))),
        f"profiles/north_{south:02.0f}km.png": partial(profiles.profile, grid, south),
    }
    return [Plot("project_profiles", name, draw) for name, draw in draws.items()]
