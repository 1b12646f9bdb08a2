"""Inspection: read each version of each plot once, behind the clock, and store what it is and shows.

May import: errors, system, tree, storage, config, auth, index, rendering, history. Its modules are imported by full
path.
"""
