"""Which arm of the hold-out a request was in. Older requests were in none: the layers acted on all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("ledger_requests", sa.Column("holdout", sa.Boolean, nullable=False, server_default=sa.false()))
