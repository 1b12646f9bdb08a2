"""The newest trimmed removal of each session; an index of removals by session.

Revision: 0005; follows: 0004
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "trim",
        sa.Column("session", NAME, nullable=False),
        sa.Column("clock", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_trim"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_removal_session", "removal", ["session", "clock"])


def downgrade() -> None:
    op.drop_index("ix_removal_session", "removal")
    op.drop_table("trim")
