"""The tree of plots: what a path means, and which files lie where.

May import: errors, system.
"""

from plotindex.tree.globs import fold_case, glob_matcher, is_glob, literal_prefix, literal_runs, name_matcher
from plotindex.tree.grammar import MEDIA_TYPES, Layout, is_name
from plotindex.tree.misplaced import describe_misplaced
from plotindex.tree.parallel_walk import MAX_PENDING_SESSIONS, ParallelWalk, WalkProcess, start_walk_process
from plotindex.tree.plots import (
    INT64_MAX,
    ROW_SORT_KEY,
    SESSION_PROJECT,
    SETTLE_NS,
    HardLinkedPlot,
    OpenPlot,
    Plot,
    PlotKey,
    Row,
    clamp_int64,
    join_path,
    newest_first,
    plot_from_stat,
    sum_names_bytes,
)
from plotindex.tree.scanner import Scanner
from plotindex.tree.scopes import MAX_SCOPES_PER_SESSION, ROOT_SCOPE, Scope, ScopeSet, collapse, is_within
from plotindex.tree.session_filter import ALL_SESSIONS, NO_SESSIONS, Allows, SessionFilter
from plotindex.tree.tree import IGNORED, Tree, TreeReader
from plotindex.tree.walk import FolderCallback, FolderStamp, Walk

__all__ = [
    "ALL_SESSIONS",
    "IGNORED",
    "INT64_MAX",
    "MAX_PENDING_SESSIONS",
    "MAX_SCOPES_PER_SESSION",
    "MEDIA_TYPES",
    "NO_SESSIONS",
    "ROOT_SCOPE",
    "ROW_SORT_KEY",
    "SESSION_PROJECT",
    "SETTLE_NS",
    "Allows",
    "FolderCallback",
    "FolderStamp",
    "HardLinkedPlot",
    "Layout",
    "OpenPlot",
    "ParallelWalk",
    "Plot",
    "PlotKey",
    "Row",
    "Scanner",
    "Scope",
    "ScopeSet",
    "SessionFilter",
    "Tree",
    "TreeReader",
    "Walk",
    "WalkProcess",
    "clamp_int64",
    "collapse",
    "describe_misplaced",
    "fold_case",
    "glob_matcher",
    "is_glob",
    "is_name",
    "is_within",
    "join_path",
    "literal_prefix",
    "literal_runs",
    "name_matcher",
    "newest_first",
    "plot_from_stat",
    "start_walk_process",
    "sum_names_bytes",
]
