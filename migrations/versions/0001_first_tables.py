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

# A migration describes the tables of its time; it imports nothing that may change later.
NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "plot",
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("ctime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", "filename", "project", name="pk_plot"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_plot_scope", "plot", ["session", "project", "filename"])
    op.create_index("ix_plot_current", "plot", ["session", "filename", "mtime_ns", "project"])
    op.create_index("ix_plot_clock", "plot", ["clock"])
    op.create_table(
        "session",
        sa.Column("session", NAME, nullable=False),
        sa.Column("plots", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_session"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "removal",
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.PrimaryKeyConstraint("clock", "session", "filename", "project", name="pk_removal"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "catalogue",
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=True),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("suffixes", sa.Text(), nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.Column("born", sa.BigInteger(), nullable=False),
        sa.Column("trimmed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("root", name="pk_catalogue"),
    )
    op.create_table(
        "indexer",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("heartbeat", sa.Double(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("watched", sa.BigInteger(), nullable=False),
        sa.Column("watch_limit", sa.BigInteger(), nullable=True),
        sa.Column("unwatched", sa.BigInteger(), nullable=False),
        sa.Column("reconciled", sa.Double(), nullable=True),
        sa.Column("missed", sa.BigInteger(), nullable=True),
        sa.Column("overflows", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("host", "pid", name="pk_indexer"),
    )


def downgrade() -> None:
    for table in ("indexer", "catalogue", "removal", "session", "plot"):
        op.drop_table(table)
