"""Every error a person may read; the docstring of a class is its message.

AutocoderError
├── InputError               what was given cannot be used           → exit 2, HTTP 4xx
│   ├── BadSpec
│   ├── BadName
│   ├── BadSetting
│   ├── PlanRefused
│   └── NotFound             no such thing                           → HTTP 404
├── NotAllowed               the person's role does not reach        → HTTP 403
├── StateError               the state of the thing forbids it       → HTTP 409
│   ├── ForbiddenTransition
│   ├── StalePress
│   └── HomeHeld             another process of ours holds the home  → exit 1
├── HostUnfit                this machine lacks something            → exit 3
│   ├── MissingProgram
│   └── NoSandbox
├── WorkspaceError           git said no
│   ├── MainMoved            the compare-and-swap lost
│   └── NestedRepository     a repository inside the work tree
├── ChatError                what a chat platform answered
│   ├── ChatAway             nothing: try again
│   ├── ChatBusy             too much at once: try again then
│   ├── MessageGone          the message was deleted
│   └── PlaceRefused         an admin must mend something first
│       ├── PlaceGone
│       └── ChatRefused
└── StorageFailed            the disk or the database said no        → exit 1
"""

from datetime import datetime


class AutocoderError(Exception):
    """Something went wrong."""

    hint: str = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        if hint:
            self.hint = hint


class InputError(AutocoderError):
    """What was given cannot be used."""


class BadSpec(InputError):
    """The spec cannot be used."""

    hint = "Give a UTF-8 Markdown file of 1 byte to 1 MB."


class BadName(InputError):
    """The project name cannot be used."""

    hint = "Names have 1-64 letters, digits, spaces, dots, dashes or underscores."


class BadSetting(InputError):
    """A setting is unknown or has a wrong value."""


class PlanRefused(InputError):
    """The plan cannot be used."""


class NotFound(InputError):
    """There is no such thing."""


class NotAllowed(AutocoderError):
    """Your role does not allow this."""

    hint = "Ask an admin: `/autocoder members` lists them."


class StateError(AutocoderError):
    """This cannot be done in the present state."""


class ForbiddenTransition(StateError):
    """This change of state is not allowed."""


class StalePress(StateError):
    """This was decided already; nothing was changed."""

    def __init__(self, what: str, *, at: datetime | None = None, hint: str = "") -> None:
        """`what` is so already, without a full stop, since `at`: cards write that in their zone."""
        self.what, self.at = what, at
        super().__init__(self.since(f"{at:%H:%M UTC on %Y-%m-%d}" if at else ""), hint=hint)

    def since(self, when: str) -> str:
        """The message, with the moment as whoever reads it writes it."""
        return f"{self.what}{f' at {when}' if when else ''}; nothing was changed."


class HomeHeld(StateError):
    """Another autocoder works in this home."""

    def __init__(self, message: str = "", *, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


class HostUnfit(AutocoderError):
    """This host lacks something that autocoder needs."""

    hint = "Run `autocoder check`: it says what is missing and how to mend it."


class MissingProgram(HostUnfit):
    """A program that autocoder needs is not installed."""


class NoSandbox(HostUnfit):
    """The sandbox is not to be had on this host."""


class WorkspaceError(AutocoderError):
    """Git refused."""


class MainMoved(WorkspaceError):
    """`main` moved while this was being landed; it is landed again."""


class NestedRepository(WorkspaceError):
    """The work tree holds a git repository of its own inside a folder.

    Its files would be lost from the commit, so it is refused.
    """


class StorageFailed(AutocoderError):
    """The disk or the database refused to write; nothing half done was kept."""

    hint = "Free some space on the disk of AUTOCODER_HOME, then run the same command again."


class ChatError(AutocoderError):
    """The chat platform did not do what was asked."""


class ChatAway(ChatError):
    """The chat platform does not answer."""

    hint = "It is tried again by itself."


class ChatBusy(ChatError):
    """The chat platform asks for patience."""

    hint = "It is tried again by itself."

    def __init__(self, message: str = "", *, retry_after: float, hint: str = "") -> None:
        """`retry_after` in seconds."""
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class MessageGone(ChatError):
    """The message was deleted."""


class PlaceRefused(ChatError):
    """The chat platform takes nothing in this place."""


class PlaceGone(PlaceRefused):
    """The channel is gone, or autocoder is no longer in it."""

    hint = "Invite autocoder again, or `use` the project in another channel."


class ChatRefused(PlaceRefused):
    """The chat platform refuses what autocoder wants to post."""
