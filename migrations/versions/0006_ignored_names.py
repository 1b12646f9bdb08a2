"""The ignored names that a catalogue was built with; null: none, before there was the setting.

Revision: 0006; follows: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("catalogue", sa.Column("ignore", sa.Text()))


def downgrade() -> None:
    op.drop_column("catalogue", "ignore")
