"""The tree of plots: what a path means, and which files lie where.

May import: errors, system.
"""

from typing import TYPE_CHECKING

from plotindex.faces import lazy_names

if TYPE_CHECKING:
    from plotindex.tree.folder_stamps import FolderStamp
    from plotindex.tree.globs import fold_case, glob_matcher, is_glob, literal_prefix, literal_runs
    from plotindex.tree.grammar import MEDIA_TYPES, Layout, is_name
    from plotindex.tree.misplaced import describe_misplaced
    from plotindex.tree.parallel_walk import MAX_PENDING_SESSIONS, ParallelWalk, WalkProcess, start_walk_process
    from plotindex.tree.plots import (
        INT64_MAX,
        INT64_MIN,
        ROW_SORT_KEY,
        SESSION_PROJECT,
        SETTLE_NS,
        HardLinkedPlot,
        OpenPlot,
        Plot,
        PlotKey,
        Row,
        clamp_int64,
        filename_of,
        join_path,
        newest_first,
        plot_from_stat,
        sum_names_bytes,
        to_int64,
    )
    from plotindex.tree.query import query_matcher, query_words
    from plotindex.tree.scanner import Scanner
    from plotindex.tree.scopes import MAX_SCOPES_PER_SESSION, ROOT_SCOPE, Scope, ScopeSet, collapse, is_within
    from plotindex.tree.session_filter import ALL_SESSIONS, NO_SESSIONS, Allows, SessionFilter
    from plotindex.tree.tree import IGNORED, Tree, TreeReader
    from plotindex.tree.walk import FolderCallback, Walk

__all__ = [
    "ALL_SESSIONS",
    "IGNORED",
    "INT64_MAX",
    "INT64_MIN",
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
    "filename_of",
    "fold_case",
    "glob_matcher",
    "is_glob",
    "is_name",
    "is_within",
    "join_path",
    "literal_prefix",
    "literal_runs",
    "newest_first",
    "plot_from_stat",
    "query_matcher",
    "query_words",
    "start_walk_process",
    "sum_names_bytes",
    "to_int64",
]

__getattr__ = lazy_names(
    __name__,
    {
        "folder_stamps": "FolderStamp",
        "globs": "fold_case glob_matcher is_glob literal_prefix literal_runs",
        "grammar": "MEDIA_TYPES Layout is_name",
        "misplaced": "describe_misplaced",
        "parallel_walk": "MAX_PENDING_SESSIONS ParallelWalk WalkProcess start_walk_process",
        "plots": (
            "INT64_MAX INT64_MIN ROW_SORT_KEY SESSION_PROJECT SETTLE_NS HardLinkedPlot OpenPlot Plot PlotKey Row "
            "clamp_int64 filename_of join_path newest_first plot_from_stat sum_names_bytes to_int64"
        ),
        "query": "query_matcher query_words",
        "scanner": "Scanner",
        "scopes": "MAX_SCOPES_PER_SESSION ROOT_SCOPE Scope ScopeSet collapse is_within",
        "session_filter": "ALL_SESSIONS NO_SESSIONS Allows SessionFilter",
        "tree": "IGNORED Tree TreeReader",
        "walk": "FolderCallback Walk",
    },
)
