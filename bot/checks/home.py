"""What is missing or wrong in the home: disk, database, token, and who works there."""

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from bot.checks.finding import Finding, Level
from bot.data.home import need_free
from bot.data.service_info import TOKEN, listen, service_info
from bot.settings import GIB, Settings
from core.errors import HomeHeld, StateError
from core.store import migrations

DISK_NEEDED: Final = GIB // 4  # bytes: a few worktrees and the database
DISK_WANTED: Final = 2 * GIB


def look(settings: Settings) -> Iterator[Finding]:
    yield _home(settings.home)
    yield _database(settings.database)
    yield from _token(settings.home)
    yield _service(settings)


def _home(home: Path) -> Finding:
    present = home
    while not present.exists() and present != present.parent:
        present = present.parent
    mend = "Set AUTOCODER_HOME to a folder that may be written."
    if not present.is_dir():
        return Finding("home", Level.ERROR, f"{present} is not a folder.", mend)
    try:
        with tempfile.NamedTemporaryFile(dir=present) as file:
            file.write(b"autocoder check")
            file.flush()
            os.fsync(file.fileno())
        free = shutil.disk_usage(present).free
    except OSError as error:
        return Finding("home", Level.ERROR, f"{home}: {error.strerror}.", mend)
    words = f"{home}, {free / GIB:.1f} GB free"
    if free < DISK_WANTED:
        level = Level.ERROR if free < DISK_NEEDED else Level.WARNING
        return Finding("home", level, f"{words}: that is little.", f"Free space on {present}.")
    return Finding("home", Level.OK, words)


def _database(path: Path) -> Finding:
    if not path.exists():
        return Finding("database", Level.OK, "none yet; made at the first build")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        mend = "Stop every autocoder of this home, set the file aside and put a copy in its place."
        return Finding("database", Level.ERROR, f"{path}: {answer}", mend)
    words = f"{path.name}, {path.stat().st_size / 2**20:.1f} MB, whole"
    at = migrations.revision(path)
    if at in (migrations.HEAD, None):
        return Finding("database", Level.OK, words)
    if not migrations.knows(at):
        words = f"{path.name} was made by a newer autocoder."
        return Finding("database", Level.ERROR, words, "Use that one, or another home.")
    then = "The next start, or `autocoder db upgrade`, copies it and changes its schema."
    return Finding("database", Level.WARNING, f"{words}, of an older autocoder.", then)


def _token(home: Path) -> Iterator[Finding]:
    try:
        mode = stat.S_IMODE((home / TOKEN).stat().st_mode)
    except OSError:
        return  # made at the first start
    if mode & 0o077:
        words = f"{TOKEN} may be read by others (mode {mode:04o})."
        yield Finding("token", Level.WARNING, words, f"Run `chmod 600 {home / TOKEN}`.")


def _service(settings: Settings) -> Finding:
    """Who works in the home; where nobody does, whether the web chat could listen."""
    home = settings.home
    try:
        need_free(home)
    except HomeHeld as error:
        try:
            found = service_info(home)
        except StateError:
            return Finding("service", Level.OK, f"`build` or a start is at work (pid {error.pid})")
        return Finding("service", Level.OK, f"runs, pid {found.pid}, {found.url}")
    try:
        listen(settings.host, settings.port).close()
    except StateError as error:
        return Finding("service", Level.WARNING, str(error), error.hint)
    return Finding("service", Level.OK, f"off; {settings.host} port {settings.port} is free")
