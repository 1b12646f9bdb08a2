"""The catalogue in PostgreSQL: connections, leader election, notifications of commits. Needs the extra `postgresql`.

May import: tables, schema, statements, pool and urls of storage. Its modules are imported by full path.
"""
