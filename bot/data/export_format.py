"""What an export may look like; apart, because the command line names it before all else."""

from enum import StrEnum


class Format(StrEnum):
    """What an export is for."""

    JSONL = "jsonl"  # a JSON object a line, `type` is journal or usage
    CSV = "csv"  # one table, the same rows
    MD = "md"  # for reading
