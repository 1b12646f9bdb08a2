"""What inspection found in each copy, with an index of the texts; the copies to inspect; how far inspection is.

Revision: 0008; follows: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")

# As for names: without pg_trgm the search reads every text.
PG_TRGM = """
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX facts_trigram ON facts USING gin (title gin_trgm_ops, text gin_trgm_ops);
EXCEPTION
    WHEN feature_not_supported OR undefined_file OR undefined_object OR insufficient_privilege OR unique_violation THEN
    RAISE NOTICE 'Without the extension pg_trgm the search reads every text.';
END $$
"""


def upgrade() -> None:
    op.create_table(
        "facts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("width", sa.BigInteger()),
        sa.Column("height", sa.BigInteger()),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.Column("dpi", sa.Double()),
        sa.Column("flags", sa.Text(), nullable=False),
        sa.Column("gone", sa.BigInteger()),
        sa.Column("picture_hash", sa.LargeBinary(), nullable=False),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
        sa.Column("title", NAME, nullable=False),
        sa.Column("text", NAME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_facts"),
    )
    op.create_index("ix_facts_copy", "facts", ["session", "filename", "project"], unique=True)
    op.create_index("ix_facts_digest", "facts", ["digest", "session"])
    is_gone = sa.text("gone IS NOT NULL")
    op.create_index("ix_facts_gone", "facts", ["gone"], sqlite_where=is_gone, postgresql_where=is_gone)
    op.create_table(
        "uninspected",
        sa.Column("session", NAME, nullable=False),
        sa.Column("filename", NAME, nullable=False),
        sa.Column("project", NAME, nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("turn", NAME, nullable=False),
        sa.PrimaryKeyConstraint("session", "filename", "project", name="pk_uninspected"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_uninspected_turn", "uninspected", ["turn", "due"])
    op.create_table(
        "inspection",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("updated", sa.Double(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.Column("pace", sa.Double(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_inspection"),
    )
    # Inserted now, so that followers can lock the row.
    op.execute("INSERT INTO follower VALUES ('inspection', 0, '', '', '', 0, 0)")
    if op.get_context().dialect.name == "postgresql":
        op.execute(PG_TRGM)
    else:
        # As the index of names: only the set of trigrams matters.
        op.execute(
            "CREATE VIRTUAL TABLE facts_trigram USING fts5("
            "title, text, content='facts', content_rowid='id', tokenize='trigram', detail='none', columnsize=0)"
        )


def downgrade() -> None:
    if op.get_context().dialect.name != "postgresql":
        op.drop_table("facts_trigram")
    op.execute("DELETE FROM follower WHERE name <> 'names'")
    for table in ("inspection", "uninspected", "facts"):
        op.drop_table(table)
