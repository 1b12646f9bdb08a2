"""First tables.

Revision: 0001; follows: none
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERS = ("size", "mtime_ns", "ctime_ns", "inode")


def _required(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "history_session",
        sa.Column("id", ID, primary_key=True),
        sa.Column("session", NAME, nullable=False),
        *_required("inode"),
        sa.Column("birth_ns", sa.BigInteger()),
        *_required("since"),
        sa.Column("ended", sa.BigInteger()),
        *_required("bytes"),
        sa.PrimaryKeyConstraint("id", name="pk_history_session"),
    )
    op.create_index("ix_history_session", "history_session", ["session"])
    op.create_index("ix_history_session_bytes", "history_session", ["bytes"])
    op.create_table(
        "history_copy",
        sa.Column("id", ID, primary_key=True),
        *_required("session_id"),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("gone", sa.BigInteger()),
        *_required("drawn", "lost"),
        sa.PrimaryKeyConstraint("id", name="pk_history_copy"),
    )
    op.create_index("ix_history_copy_place", "history_copy", ["session_id", "filename", "project"], unique=True)
    op.create_table(
        "history_version",
        sa.Column("id", ID, primary_key=True),
        *_required("copy_id", "session_id", "seen"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *_required(*NUMBERS),
        sa.PrimaryKeyConstraint("id", name="pk_history_version"),
    )
    op.create_index("ix_history_version_copy", "history_version", ["copy_id", "seen"])
    op.create_index("ix_history_version_session", "history_version", ["session_id", "seen"])
    op.create_table(
        "history_content",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        *_required("session_id", "versions"),
        sa.PrimaryKeyConstraint("digest", "session_id", name="pk_history_content"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history_pending",
        sa.Column("copy_id", sa.BigInteger(), nullable=False, autoincrement=False),
        *_required("session_id", "due", *NUMBERS),
        sa.PrimaryKeyConstraint("copy_id", name="pk_history_pending"),
    )
    op.create_index("ix_history_pending_session", "history_pending", ["session_id", "due"])
    op.create_table(
        "history_forgotten",
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mark", name="pk_history_forgotten"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "history_follower",
        sa.Column("name", NAME, nullable=False),
        *_required("clock"),
        *(sa.Column(name, NAME, nullable=False) for name in ("session", "filename", "project")),
        *_required("trimmed", "round"),
        sa.PrimaryKeyConstraint("name", name="pk_history_follower"),
    )
    op.create_table(
        "history_state",
        sa.Column("folder", sa.Text(), nullable=False),
        *_required("kept", "lost"),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("folder", name="pk_history_state"),
    )


def downgrade() -> None:
    for name in ("state", "follower", "forgotten", "pending", "content", "version", "copy", "session"):
        op.drop_table(f"history_{name}")
