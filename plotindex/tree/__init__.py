"""The tree of plots: what a path means, and which files lie where.

May import: errors, system.
"""

from plotindex.tree.globs import fold, glob_matcher, is_glob, literal_runs, matcher
from plotindex.tree.layout import MEDIA_TYPES, Layout, is_name
from plotindex.tree.parallel_walk import MOST_AHEAD, ScoutedWalk, WalkProcess, scout_for
from plotindex.tree.plots import INT64_MAX, POSITION, SETTLED_NS, Plot, PlotKey, Row, clamp, newest_first
from plotindex.tree.scopes import MOST_OF_SESSION, ROOT_SCOPE, Scope, ScopeSet, collapse, is_within
from plotindex.tree.tree import Glance, OpenPlot, Tree
from plotindex.tree.walk import Enter, Linked, Stamp, Walk, plot_of

__all__ = [
    "INT64_MAX",
    "MEDIA_TYPES",
    "MOST_AHEAD",
    "MOST_OF_SESSION",
    "POSITION",
    "ROOT_SCOPE",
    "SETTLED_NS",
    "Enter",
    "Glance",
    "Layout",
    "Linked",
    "OpenPlot",
    "Plot",
    "PlotKey",
    "Row",
    "Scope",
    "ScopeSet",
    "ScoutedWalk",
    "Stamp",
    "Tree",
    "Walk",
    "WalkProcess",
    "clamp",
    "collapse",
    "fold",
    "glob_matcher",
    "is_glob",
    "is_name",
    "is_within",
    "literal_runs",
    "matcher",
    "newest_first",
    "plot_of",
    "scout_for",
]
