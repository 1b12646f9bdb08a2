"""Full-text search of filenames: FTS5 or pg_trgm, kept up to date behind the catalogue's clock.

May import: the rest of storage but find and overview. Its modules are imported by full path.
"""
