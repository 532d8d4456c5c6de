"""Roles of people (CONTRACT.md §2): each holds what the one before it holds."""

from enum import StrEnum

from core.domain.redaction import clean


class Role(StrEnum):
    NONE = "none"
    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether a person of this role may do what `needed` may."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = tuple(Role)
LOCAL = "web:local"  # whoever holds the web token: always admin


NAME_LIMIT = 128
_TRICKS = str.maketrans("", "", "`<>")  # what would be code, or mention somebody


def display_name(given: str) -> str:
    """How a platform calls a person, on one line, without what steers a screen or marks it up."""
    return " ".join(clean(given).translate(_TRICKS).split())[:NAME_LIMIT].rstrip()
