"""An indexer's measurements: durations of its work, and latencies of rows.

Revision: 0003; follows: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("indexer", sa.Column("measured", sa.Text()))


def downgrade() -> None:
    op.drop_column("indexer", "measured")
