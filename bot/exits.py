"""Exit statuses of the command line (CONTRACT.md §1)."""

from enum import IntEnum


class Exit(IntEnum):
    COMPLETED = 0
    UNFINISHED = 1
    BAD_INPUT = 2
    HOST_UNFIT = 3
    INTERRUPTED = 130
