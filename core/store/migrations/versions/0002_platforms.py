"""What platforms need: names of people, handles for private answers, places that refuse.

A project that was made in a terminal lives in `terminal:main` from now on. What happened in a
home that never spoke in a chat was told where it happened: no card tells it again. Nobody could
give a feature a priority: all have the usual one.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("person_name", sa.String(length=128), nullable=True))
    op.add_column("inbox", sa.Column("reply", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("reply", sa.Text(), nullable=True))
    op.add_column("outbox", sa.Column("again", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("channels", sa.Column("refused", sa.Text(), nullable=True))
    op.add_column("channels", sa.Column("refused_at", sa.DateTime(), nullable=True))
    op.add_column("members", sa.Column("name", sa.String(length=128), nullable=True))
    op.execute("UPDATE features SET priority = 0")
    op.execute(
        "INSERT INTO told (id, entry_id) SELECT 1, (SELECT coalesce(max(id), 0) FROM journal)"
        " WHERE NOT EXISTS (SELECT 1 FROM told) AND EXISTS (SELECT 1 FROM projects)"
    )
    op.execute(
        "INSERT INTO project_places (project_id, platform, channel, position, root_key)"
        " SELECT id, 'terminal', 'main', 0, 'interview:' || slug FROM projects"
        " WHERE id NOT IN (SELECT project_id FROM project_places)"
    )
    op.execute(
        "INSERT INTO channels (platform, name, created_at)"
        " SELECT 'terminal', 'main', min(created_at) FROM projects"
        " WHERE EXISTS (SELECT 1 FROM project_places WHERE platform = 'terminal')"
        " HAVING min(created_at) IS NOT NULL"
    )
