"""The event loop that the program runs on."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end.

    Python 3.11 starts a thread for each child process to wait in, which more than doubles what a
    short one costs, and git's are short; from 3.12 on asyncio waits on a pidfd by itself, where
    Linux (5.3) has them.
    """
    if sys.version_info < (3, 12) and _has_pidfd():
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    return asyncio.run(main)


def _has_pidfd() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
