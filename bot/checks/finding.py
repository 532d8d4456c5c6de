"""What `autocoder check` found, one thing at a time."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"  # autocoder runs, something is weaker or will surprise
    ERROR = "error"  # autocoder does not run as it is set up


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    level: Level
    what: str
    mend: str = ""  # what to do; empty where nothing is to be done
