"""By which signals a model was chosen, and what the others would have cost. Nobody kept it of older requests."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("ledger_requests", sa.Column("route", sa.Text))
