"""What the analytics service said, found again by the correlation id of whoever asked."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "analyses",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("corr", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("analysis", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("as_of_ns", sa.BigInteger(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_analyses")),
    )
    op.create_index(op.f("ix_analyses_corr"), "analyses", ["corr"], unique=False)
    op.create_index(
        op.f("ix_analyses_symbol_analysis_made_ns"), "analyses", ["symbol", "analysis", "made_ns"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_analyses_symbol_analysis_made_ns"), table_name="analyses")
    op.drop_index(op.f("ix_analyses_corr"), table_name="analyses")
    op.drop_table("analyses")
