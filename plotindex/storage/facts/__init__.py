"""The tables of what inspection found: facts of copies, copies to inspect, and how far inspection is.

May import: the rest of storage but listing, search, find and overview. Its modules are imported by full path.
"""
