"""The history: the bytes of earlier and removed versions of plots, kept by the indexer within a bound.

May import: errors, system, tree, storage, config, auth, index, rendering. Its modules are imported by full path.
"""
