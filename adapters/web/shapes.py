"""What comes in and goes out over HTTP, for validation and for OpenAPI.

What goes out are the values of core/views; here are the wrappers around them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, NotRequired, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from core.domain.cards import Form
from core.views.messages import MessageView

T = TypeVar("T")

CHANNEL = r"^[a-z0-9-]{1,64}$"
TEXT_LIMIT = 100_000  # characters of a message
_FILES = 20  # of one message


class Collection(TypedDict, Generic[T]):
    """Oldest first; `next` is the cursor of what follows, null at the end."""

    items: Sequence[T]
    next: str | None


class ErrorData(TypedDict):
    error: str
    message: str
    hint: str


class Body(BaseModel):
    # What is unknown is refused: a mistyped field would else be a silent loss.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


ClientId = Annotated[str | None, Field(min_length=1, max_length=100)]


class NewMessage(Body):
    text: str
    thread: int | None = Field(None, ge=1, lt=2**63)
    files: list[Annotated[str, Field(max_length=64)]] = Field([], max_length=_FILES)
    client_id: ClientId = None


def _listed(value: object) -> object:
    """One value may come without its list."""
    return [value] if isinstance(value, str) else value


Values = Annotated[list[Annotated[str, Field(max_length=TEXT_LIMIT)]], BeforeValidator(_listed)]


class NewPress(Body):
    action_id: Annotated[str, Field(min_length=1, max_length=1000)]
    message_id: int | None = Field(None, ge=0, lt=2**63)
    values: dict[Annotated[str, Field(max_length=200)], Values] | None = None
    client_id: ClientId = None


class PressDone(TypedDict):
    ok: bool
    text: str


class PressRefused(TypedDict):
    ok: bool
    reason: str
    text: str
    form: NotRequired[Form | None]  # of `missing_values`: what must be filled in first
    error: str
    message: str
    hint: str


@dataclass(frozen=True)
class MessagePage:
    items: Sequence[MessageView]
    next: str | None
    changed: int  # where a stream goes on: `stream?since=`


class NewMember(Body):
    user: Annotated[str, Field(pattern=r"^web:[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    role: str


class MemberToken(TypedDict):
    user: str
    role: str
    token: str


class Reason(Body):
    reason: Annotated[str, Field(max_length=10_000)] = ""


class Health(TypedDict):
    status: str


class Readiness(TypedDict):
    ready: bool
    model: str
    parts: dict[str, str]
