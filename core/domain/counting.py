"""How many of something, in words."""


def count(number: int, noun: str) -> str:
    """`1 task`, `1,284 tasks`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
