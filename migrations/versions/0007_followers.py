"""The position of each consumer of the catalogue's changes, by name; so far of the index of names alone.

Revision: 0007; follows: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "follower",
        sa.Column("name", NAME, nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("trimmed", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_follower"),
    )
    # Where `searched` has no row, the consumer begins anew.
    op.execute("INSERT INTO follower SELECT 'names', clock, session, filename, '', trimmed, outdated FROM searched")
    op.drop_table("searched")


def downgrade() -> None:
    op.create_table(
        "searched",
        sa.Column("clock", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("trimmed", sa.BigInteger(), nullable=False),
        sa.Column("outdated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("clock", name="pk_searched"),
    )
    op.execute(
        "INSERT INTO searched SELECT clock, session, filename, trimmed, round FROM follower WHERE name = 'names'"
    )
    op.drop_table("follower")
