"""stub"""
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    allowed: bool
    reason: str = ""


JudgeCommand = Callable[[str], Awaitable[Verdict]]
