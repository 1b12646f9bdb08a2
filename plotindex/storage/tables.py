"""The tables of the catalogue. migrations/ creates them; `alembic check` compares the two."""

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

# Text compares by bytes, so that the content of a folder is a range.
Name = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(column_0_N_label)s"})

plot = Table(
    "plot",
    metadata,
    Column("session", Name, primary_key=True),
    Column("filename", Name, primary_key=True),
    Column("project", Name, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("clock", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_plot_scope", plot.c.session, plot.c.project, plot.c.filename)


# The current copy is the last entry of its key: one index seek, for any number of copies.
Index("ix_plot_current", plot.c.session, plot.c.filename, plot.c.mtime_ns, plot.c.project)
Index("ix_plot_clock", plot.c.clock)

session = Table(
    "session",
    metadata,
    Column("session", Name, primary_key=True),
    Column("plots", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("clock", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


# Sessions that are not fully indexed: see truncated_sessions.py.
excess = Table(
    "excess",
    metadata,
    Column("session", Name, primary_key=True),
    Column("cut", Name),
    Column("plots", BigInteger, nullable=False),
    Column("folders", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

removal = Table(
    "removal",
    metadata,
    Column("clock", BigInteger, primary_key=True),
    Column("session", Name, primary_key=True),
    Column("filename", Name, primary_key=True),
    Column("project", Name, primary_key=True),
    sqlite_with_rowid=False,
)


# For lookups by session, and the newest removal of one.
Index("ix_removal_session", removal.c.session, removal.c.clock)

# The newest trimmed removal of each session that has any: older cursors have missed it.
trim = Table(
    "trim",
    metadata,
    Column("session", Name, primary_key=True),
    Column("clock", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)


# Every key, for search; the last changed has the highest id. It is updated behind the plots (search/updater.py), and
# indexed by TRIGRAMS, which SQLAlchemy cannot describe.
name = Table(
    "name",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("session", Name, nullable=False),
    Column("filename", Name, nullable=False),
)
Index("ix_name_key", name.c.session, name.c.filename, unique=True)
TRIGRAMS = "name_trigram"
"""On SQLite an FTS5 table, whose own tables have this prefix; on PostgreSQL an index of pg_trgm."""


# One row: the `Position` of search/updater.py. Without it, `name` may be incomplete.
searched = Table(
    "searched",
    metadata,
    Column("clock", BigInteger, primary_key=True, autoincrement=False),
    Column("session", Name, nullable=False),
    Column("filename", Name, nullable=False),
    Column("trimmed", BigInteger, nullable=False),
    Column("outdated", BigInteger, nullable=False),
)

catalogue = Table(
    "catalogue",
    metadata,
    Column("root", Text, primary_key=True),
    Column("identity", Text),
    Column("pattern", Text, nullable=False),
    Column("suffixes", Text, nullable=False),
    Column("clock", BigInteger, nullable=False),
    Column("born", BigInteger, nullable=False),
    Column("trimmed", BigInteger, nullable=False),
    Column("ignore", Text),
)

indexer = Table(
    "indexer",
    metadata,
    Column("host", Text, primary_key=True),
    Column("pid", BigInteger, primary_key=True),
    Column("started", Double, nullable=False),
    Column("heartbeat", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("watched", BigInteger, nullable=False),
    Column("watch_limit", BigInteger),
    Column("unwatched", BigInteger, nullable=False),
    Column("reconciled", Double),
    Column("missed", BigInteger),
    Column("overflows", BigInteger, nullable=False),
    Column("pending", BigInteger, nullable=False),
    Column("replaced", BigInteger, nullable=False, server_default="0"),
    Column("missed_folders", BigInteger, nullable=False, server_default="0"),
    Column("unreadable", BigInteger, nullable=False, server_default="0"),
    Column("odd", BigInteger, nullable=False, server_default="0"),
    Column("behind", Double, nullable=False, server_default="0"),
    Column("proven", Double),
    Column("polled", Text),
    Column("measured", Text),
)
