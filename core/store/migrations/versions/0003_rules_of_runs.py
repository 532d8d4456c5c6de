"""A run keeps the settings that its project had when it began; those under way take today's."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("settings", sa.JSON(), nullable=False, server_default="{}"))
    op.execute(
        "UPDATE runs SET settings ="
        " (SELECT settings FROM projects WHERE projects.id = runs.project_id)"
        " WHERE status != 'ended'"
    )
