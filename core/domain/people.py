"""Roles of people: each holds what the one before it holds."""

from enum import StrEnum
from hashlib import sha256


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


def hashed(secret: str) -> str:
    """All that is kept of a token or a claim code."""
    return sha256(secret.encode()).hexdigest()
