"""What the layers kept out of a request, in tokens, and why a prompt cache did not hold, as cgw itself finds it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("ledger_requests", sa.Column("removed_tokens", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("ledger_requests", sa.Column("miss_cause", sa.Text))
    op.add_column("ledger_requests", sa.Column("miss_ours", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("ledger_requests", sa.Column("miss_tokens", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("ledger_requests", sa.Column("miss_picos", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("ledger_requests_by_conversation", "ledger_requests", ["conversation", "time_us"])
