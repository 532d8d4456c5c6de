"""What was measured, beside what was wanted."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One line of the table. `wanted` is empty for what is only reported."""

    name: str
    value: float
    unit: str
    wanted: str = ""
    ok: bool | None = None  # None: only reported
    note: str = ""


def at_most(name: str, value: float, limit: float, unit: str, note: str = "") -> Figure:
    return Figure(name, value, unit, f"≤ {limit:g}", value <= limit, note)


def at_least(name: str, value: float, limit: float, unit: str, note: str = "") -> Figure:
    return Figure(name, value, unit, f"≥ {limit:g}", value >= limit, note)


def reported(name: str, value: float, unit: str, note: str = "") -> Figure:
    return Figure(name, value, unit, note=note)


def show(figure: Figure) -> str:
    mark = {True: "ok", False: "NOT OK", None: ""}[figure.ok]
    value = f"{figure.value:,.{_digits(figure.value)}f} {figure.unit}"
    return f"{figure.name:<58} {value:>16} {figure.wanted:>9} {mark:<7} {figure.note}".rstrip()


def _digits(value: float) -> int:
    if value == int(value) and value < 1_000_000:
        return 0
    return 3 if abs(value) < 10 else 1


def save(figures: Sequence[Figure], path: Path) -> None:
    path.write_text(json.dumps([asdict(figure) for figure in figures], indent=1) + "\n")
