"""Plots over HTTP: `PlotIndex` for a Flask application of your own, `create_app` for plotindex's.

May import: every package but cli. The command line imports its modules by full path.
"""

from plotindex.web.app import create_app
from plotindex.web.extension import PlotIndex

__all__ = ["PlotIndex", "create_app"]
