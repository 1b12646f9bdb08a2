"""The tables of the history. migrations/history creates them."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, Table, Text

from plotindex.storage.tables import Id, Name, metadata, position_columns

history_metadata = MetaData(naming_convention=metadata.naming_convention)

# One row for each folder that has had this name; only the last may not have ended.
history_session = Table(
    "history_session",
    history_metadata,
    Column("id", Id, primary_key=True),
    Column("session", Name, nullable=False),
    Column("inode", BigInteger, nullable=False),
    Column("birth_ns", BigInteger),
    Column("since", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("bytes", BigInteger, nullable=False),
)
Index("ix_history_session", history_session.c.session)
Index("ix_history_session_bytes", history_session.c.bytes)

# `drawn`: versions that were kept, also those that are not any more, or lost.
history_copy = Table(
    "history_copy",
    history_metadata,
    Column("id", Id, primary_key=True),
    Column("session_id", BigInteger, nullable=False),
    Column("filename", Name, nullable=False),
    Column("project", Name, nullable=False),
    Column("gone", BigInteger),
    Column("drawn", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
)
Index(
    "ix_history_copy_place",
    history_copy.c.session_id,
    history_copy.c.filename,
    history_copy.c.project,
    unique=True,
)

history_version = Table(
    "history_version",
    history_metadata,
    Column("id", Id, primary_key=True),
    Column("copy_id", BigInteger, nullable=False),
    Column("session_id", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
)
Index("ix_history_version_copy", history_version.c.copy_id, history_version.c.seen)
Index("ix_history_version_session", history_version.c.session_id, history_version.c.seen)

# How many versions of a session need a content. A content without a row is deleted.
history_content = Table(
    "history_content",
    history_metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("session_id", BigInteger, primary_key=True, autoincrement=False),
    Column("versions", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Versions to keep once they have stood for long enough.
history_pending = Table(
    "history_pending",
    history_metadata,
    Column("copy_id", BigInteger, primary_key=True, autoincrement=False),
    Column("session_id", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", BigInteger, nullable=False),
)
Index("ix_history_pending_session", history_pending.c.session_id, history_pending.c.due)

# Digests of versions with their names, which are never kept again.
history_forgotten = Table(
    "history_forgotten",
    history_metadata,
    Column("mark", LargeBinary, primary_key=True),
    sqlite_with_rowid=False,
)

history_follower = Table("history_follower", history_metadata, *position_columns())

# One row: what the process that keeps says of itself.
history_state = Table(
    "history_state",
    history_metadata,
    Column("folder", Text, primary_key=True),
    Column("kept", BigInteger, nullable=False),
    Column("lost", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),
)
