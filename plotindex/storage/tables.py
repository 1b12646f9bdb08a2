"""The tables of the catalogue. migrations/ creates them; `alembic check` compares the two."""

from typing import Any

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text

# Text compares by bytes, so that the content of a folder is a range.
Name = Text().with_variant(Text(collation="C"), "postgresql")
Id = BigInteger().with_variant(Integer, "sqlite")
"""An INTEGER PRIMARY KEY of SQLite numbers its rows."""

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s", "ix": "ix_%(column_0_N_label)s"})


def position_columns() -> list[Column[Any]]:
    """The columns of a table of positions: each consumer's name, and the fields of `Position`."""
    texts = (Column(field, Name, nullable=False) for field in ("session", "filename", "project"))
    clock, trimmed, mark = (Column(field, BigInteger, nullable=False) for field in ("clock", "trimmed", "round"))
    return [Column("name", Name, primary_key=True), clock, *texts, trimmed, mark]


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
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("session", Name, nullable=False),
    Column("filename", Name, nullable=False),
)
Index("ix_name_key", name.c.session, name.c.filename, unique=True)
TRIGRAMS = ("name_trigram", "facts_trigram")
"""On SQLite FTS5 tables, whose own tables have these prefixes; on PostgreSQL indexes of pg_trgm."""


# What inspection found in a version of each copy; the last inspected has the highest id. Its texts are indexed too.
facts = Table(
    "facts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("session", Name, nullable=False),
    Column("filename", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("version", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("format", Text, nullable=False),
    Column("width", BigInteger),
    Column("height", BigInteger),
    Column("frames", BigInteger, nullable=False),
    Column("dpi", Double),
    Column("flags", Text, nullable=False),
    Column("gone", BigInteger),
    Column("picture_hash", LargeBinary, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Column("title", Name, nullable=False),
    Column("text", Name, nullable=False),
)
Index("ix_facts_copy", facts.c.session, facts.c.filename, facts.c.project, unique=True)
Index("ix_facts_digest", facts.c.digest, facts.c.session)
_is_gone = facts.c.gone.is_not(None)
Index("ix_facts_gone", facts.c.gone, sqlite_where=_is_gone, postgresql_where=_is_gone)

# The changed copies to inspect, once their version has stood for long enough.
uninspected = Table(
    "uninspected",
    metadata,
    Column("session", Name, primary_key=True),
    Column("filename", Name, primary_key=True),
    Column("project", Name, primary_key=True),
    Column("due", BigInteger, nullable=False),
    # The session; "/" for those of which nothing was inspected, which share one turn.
    Column("turn", Name, nullable=False),
    sqlite_with_rowid=False,
)
Index("ix_uninspected_turn", uninspected.c.turn, uninspected.c.due)

# One row: what the process that inspects says of itself.
inspection = Table(
    "inspection",
    metadata,
    Column("host", Text, primary_key=True),
    Column("updated", Double, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Column("pace", Double, nullable=False),
    Column("problem", Text, nullable=False),
)

# The `Position` of each consumer of the changes (follower.py). Without its row, it begins anew.
follower = Table("follower", metadata, *position_columns())

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
