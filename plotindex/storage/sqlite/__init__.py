"""The catalogue in an SQLite file: connections, write-ahead log, read-only access, the writer queue.

May import: database, tables, schema, statements, pool and urls of storage. Its modules are imported by full path.
"""
