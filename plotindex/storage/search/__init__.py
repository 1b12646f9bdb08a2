"""Search by name, with FTS5 or pg_trgm; the index is updated behind the catalogue's clock.

May import: the rest of storage but find and overview. Its modules are imported by full path.
"""
