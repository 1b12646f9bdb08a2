"""Searchable names: every key, and a trigram index of its filename.

Revision: 0004; follows: 0003
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

# Without the extension or permission for it, the search is still correct, but reads every name.
PG_TRGM = """
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX name_trigram ON name USING gin (filename gin_trgm_ops);
EXCEPTION
    WHEN feature_not_supported OR undefined_file OR undefined_object OR insufficient_privilege OR unique_violation THEN
    RAISE NOTICE 'Without the extension pg_trgm the search reads every name.';
END $$
"""


def upgrade() -> None:
    op.create_table(
        "name",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_name"),
    )
    op.create_index("ix_name_key", "name", ["session", "filename"], unique=True)
    searched = op.create_table(
        "searched",
        sa.Column("clock", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("trimmed", sa.BigInteger(), nullable=False),
        sa.Column("outdated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("clock", name="pk_searched"),
    )
    # Inserted now, so that updaters can lock the row.
    op.bulk_insert(searched, [{"clock": 0, "session": "", "filename": "", "trimmed": 0, "outdated": 0}])
    if op.get_context().dialect.name == "postgresql":
        op.execute(PG_TRGM)
    else:
        # Without positions and sizes: only the set of trigrams matters.
        op.execute(
            "CREATE VIRTUAL TABLE name_trigram USING fts5("
            "filename, content='name', content_rowid='id', tokenize='trigram', detail='none', columnsize=0)"
        )


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        op.drop_table("name_trigram")
    # Keep the extension: others may use it.
    op.drop_table("searched")
    op.drop_table("name")
