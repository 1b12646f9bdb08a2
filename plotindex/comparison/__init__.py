"""Comparison: what changed between the plots of two sessions, projects or moments.

May import: errors, system, tree, storage, config, auth, index, rendering, history, inspection. Its modules are imported
by full path.
"""
