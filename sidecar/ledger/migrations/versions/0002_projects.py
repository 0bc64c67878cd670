"""Projects: limits, budgets, policy and the hash of a key."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "cgw_projects",
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), primary_key=True),
        sa.Column("rpm", sa.BigInteger),
        sa.Column("tpm", sa.BigInteger),
        sa.Column("daily_budget", sa.BigInteger),
        sa.Column("monthly_budget", sa.BigInteger),
        sa.Column("warn_percent", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("key_sha256", sa.Text, unique=True),
        sa.Column("key_last4", sa.Text),
    )
