"""By which door a request came. Nobody kept it of older requests, nearly all of which came by the base URL."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("ledger_requests", sa.Column("via", sa.Text, nullable=False, server_default="base_url"))
