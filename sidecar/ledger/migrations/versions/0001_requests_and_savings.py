"""The first schema: one row a request, one a layer that saved something."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "ledger_requests",
        sa.Column("id", ordered, primary_key=True),
        sa.Column("time_us", sa.BigInteger, nullable=False),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("dialect", sa.Text, nullable=False),
        sa.Column("conversation", sa.Text, nullable=False),
        sa.Column("model_requested", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("route_reason", sa.Text, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_5m_tokens", sa.BigInteger, nullable=False),
        sa.Column("cache_write_1h_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("thinking_tokens", sa.BigInteger, nullable=False),
        sa.Column("cost_picos", sa.BigInteger, nullable=False),
        sa.Column("baseline_picos", sa.BigInteger, nullable=False),
        sa.Column("cache", sa.Text, nullable=False),
        sa.Column("status", sa.BigInteger, nullable=False),
        sa.Column("stop_reason", sa.Text),
        sa.Column("ttft_ms", sa.Double),
        sa.Column("duration_ms", sa.Double),
        sa.Column("overhead_ms", sa.Double),
        sa.Column("retries", sa.BigInteger, nullable=False),
        sa.Column("cancelled", sa.Boolean, nullable=False),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("error_class", sa.Text),
    )
    op.create_index("ledger_requests_by_time", "ledger_requests", ["time_us", "id"])
    op.create_index("ledger_requests_by_project", "ledger_requests", ["project", "time_us", "id"])
    op.create_table(
        "ledger_savings",
        sa.Column("request_id", ordered, primary_key=True),
        sa.Column("layer", sa.Text, primary_key=True),
        sa.Column("picos", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
