"""`python -m core.store.migrations DATABASE`: makes or upgrades it, and takes Alembic along when it ends."""

import sys
from pathlib import Path

from core.store.migrations import upgrade

upgrade(Path(sys.argv[1]))
