"""The session `signals`: an electroencephalogram, a membrane potential and a magnetic resonance slice."""

from functools import partial

from . import brain, head, neuron
from .plan import Plot, Turn


def plots(turn: Turn) -> list[Plot]:
    return [*of_brain(turn), *of_neuron(turn), *of_head(turn)]


def of_brain(turn: Turn) -> list[Plot]:
    start, end = turn.pick([(0.0, 10.0), (0.0, 5.0), (5.0, 10.0)])
    segment = turn.pick((256, 128, 400))
    draws = {
        "correlation_plot.png": partial(brain.correlations, start, end, turn.pick(("RdBu_r", "PuOr_r"))),
        "subfolder/histogram.svg": partial(brain.distribution, turn.pick((0, 1, 2, 3))),
        "traces.png": partial(brain.traces, start, end),
        "spectrum.png": partial(brain.spectrum, segment),
        "subfolder/autocorrelation.png": partial(brain.autocorrelations, turn.pick((2.0, 1.0, 4.0))),
        "band_power.png": partial(brain.band_power, segment),
    }
    return [Plot("project_eeg", name, draw) for name, draw in draws.items()]


def of_neuron(turn: Turn) -> list[Plot]:
    start = 1.0 if turn.number == 1 else round(float(turn.rng.uniform(0.4, 4.9)), 1)
    window = turn.pick((50, 100, 200))
    threshold = turn.pick((-20.0, -10.0, -25.0))
    draws = {
        "correlation_plot.png": partial(neuron.correlations, window, turn.pick(("RdBu_r", "BrBG_r"))),
        "subfolder/histogram.svg": partial(neuron.distribution, turn.pick(("whole", "early", "late"))),
        "trace.png": partial(neuron.trace, threshold),
        "firing_rate.png": partial(neuron.firing_rate, threshold),
        "spike_shapes.png": partial(neuron.spike_shapes, threshold, turn.pick(("viridis", "plasma"))),
        "subfolder/spectrogram.jpg": partial(neuron.spectrogram, turn.pick((512, 256, 1024))),
        f"windows/from_{start * 1000:04.0f}ms.png": partial(neuron.zoom, start),
    }
    return [Plot("project_membrane", name, draw) for name, draw in draws.items()]


def of_head(turn: Turn) -> list[Plot]:
    colours = turn.pick(("gray", "bone", "magma"))
    draws = {
        "correlation_plot.png": partial(head.correlations, turn.pick(("rows", "columns"))),
        "subfolder/histogram.svg": partial(head.distribution, turn.pick((10, 30, 60))),
        "slice.jpg": partial(head.picture, turn.pick((1, 3, 5)), colours),
        "edges.jpg": partial(head.edges, turn.pick((3, 1, 5)), colours),
        "subfolder/radial_spectrum.png": partial(head.radial_spectrum, turn.pick((30, 10, 60)), turn.rng),
    }
    return [Plot("project_mri_slice", name, draw) for name, draw in draws.items()]
