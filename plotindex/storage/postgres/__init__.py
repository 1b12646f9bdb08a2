"""The catalogue in PostgreSQL: connections, leader election, commit notifications. Needs the extra `postgresql`.

May import: database, tables, schema, statements, pool and urls of storage. Its modules are imported by full path.
"""
