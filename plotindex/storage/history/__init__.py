"""The database of the history: which bytes are kept for which version of which copy; what is to be kept next.

May import: the rest of storage but listing, search, find and overview. Its modules are imported by full path.
"""
