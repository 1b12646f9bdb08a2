"""Limits of sessions, and results of an indexer's self-tests.

Revision: 0002; follows: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
COUNTS = ("replaced", "missed_folders", "unreadable", "odd")


def upgrade() -> None:
    op.create_table(
        "excess",
        sa.Column("session", NAME, nullable=False),
        sa.Column("cut", NAME),
        sa.Column("plots", sa.BigInteger(), nullable=False),
        sa.Column("folders", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_excess"),
        sqlite_with_rowid=False,
    )
    for name in COUNTS:
        op.add_column("indexer", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("indexer", sa.Column("behind", sa.Double(), nullable=False, server_default="0"))
    op.add_column("indexer", sa.Column("proven", sa.Double()))
    op.add_column("indexer", sa.Column("polled", sa.Text()))


def downgrade() -> None:
    for name in ("polled", "proven", "behind", *reversed(COUNTS)):
        op.drop_column("indexer", name)
    op.drop_table("excess")
