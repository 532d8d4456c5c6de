"""`python -m bot …` is `autocoder …`: what a shell may leave out is put right, then it begins."""

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType

_INTERRUPTED = 130
_UNFINISHED = 1
_HOLDERS = ("serve", "build", "demo")  # commands that need the home for themselves


def main() -> None:
    signal.signal(signal.SIGINT, _leave)
    _open_streams()
    if not os.environ.get("PATH"):
        os.environ["PATH"] = os.defpath
    _refuse_if_held(sys.argv[1:])
    from bot.cli import main as begin  # takes a second or so, in which Ctrl-C may come

    begin()


def _refuse_if_held(arguments: list[str]) -> None:
    """Who holds the home is said at once; all that is imported later takes long on a busy host."""
    from bot.data.home import chosen_home, flag_of, need_free
    from core.errors import HomeHeld

    if not arguments or arguments[0] not in _HOLDERS or "--help" in arguments:
        return
    flag = flag_of(arguments)
    if arguments[0] == "demo" and flag is None:
        return  # it makes a home of its own
    try:
        need_free(chosen_home(flag, os.environ))
    except HomeHeld as error:
        sys.stderr.write(f"■ {error}\n")
        sys.stderr.flush()
        os._exit(_UNFINISHED)


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
