"""Why a prompt cache did not hold, as Anthropic says it. Nobody asked for older requests."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("ledger_requests", sa.Column("cache_miss", sa.Text))
