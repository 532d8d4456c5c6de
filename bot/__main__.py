"""`python -m bot …` is `autocoder …`: what a shell may leave out is put right, then it begins."""

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType

_INTERRUPTED = 130


def main() -> None:
    signal.signal(signal.SIGINT, _leave)
    _open_streams()
    if not os.environ.get("PATH"):
        os.environ["PATH"] = os.defpath
    from bot.cli import main as begin  # takes a second or so, in which Ctrl-C may come

    begin()


def _leave(_number: int, _frame: FrameType | None) -> None:
    """Ctrl-C while nothing was begun: there is nothing to tidy up, and nothing to tell."""
    os._exit(_INTERRUPTED)


def _open_streams() -> None:
    """A stream that was closed is replaced, else the database would get its descriptor.

    What a child writes to its standard output would then be written into the database. What
    the encoding of an output does not have becomes a question mark.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free descriptor is taken, which is the missing one.
            descriptor = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
