"""Plots over HTTP: `PlotIndex` for a Flask application of your own, `create_app` for plotindex's."""

from plotindex.web.app import create_app
from plotindex.web.extension import PlotIndex

__all__ = ["PlotIndex", "create_app"]
