"""Commands that keep what a home holds: `autocoder db …`, `autocoder export`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bot import settings as settings_file
from bot.data.export_format import Format
from bot.exits import Exit, complain
from core.errors import AutocoderError

# The rest is imported where it is needed, for the reason that bot/cli.py gives.

Home = Annotated[Path | None, typer.Option("--home", help="Data folder; wins over AUTOCODER_HOME.")]

db = typer.Typer(help="The database: schema, copy, integrity.", no_args_is_help=True)


@db.command()
def upgrade(home: Home = None) -> None:
    """Bring the database to this version's schema, after a copy of it; starting does the same."""
    from bot.data import database

    try:
        typer.echo(database.upgrade(settings_file.load(os.environ, home)))
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error


@db.command()
def backup(
    file: Annotated[Path, typer.Argument(help="A new file.")],
    home: Home = None,
) -> None:
    """Copy the database into a new file, also while the service runs.

    To go back to it, stop autocoder, remove `autocoder.db-wal` and `autocoder.db-shm` from the home
    and put the copy in place of `autocoder.db`.
    """
    from bot.data import database

    try:
        typer.echo(database.backup(settings_file.load(os.environ, home), file))
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error


@db.command()
def check(home: Home = None) -> None:
    """Look at the whole database; exit status 1 when something is wrong with it."""
    from bot.data import database

    fine = True
    try:
        for seen in database.check(settings_file.load(os.environ, home)):
            typer.echo(f"{'✓' if seen.fine else '■'} {seen.name:<11} {seen.words}")
            fine = fine and seen.fine
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error
    if not fine:
        raise typer.Exit(Exit.UNFINISHED)


def export(
    project: Annotated[str, typer.Argument(help="A project's name.")],
    wanted: Annotated[
        Format, typer.Option("--format", help="For programs, for spreadsheets, for reading.")
    ] = Format.JSONL,
    home: Home = None,
) -> None:
    """Print a project's journal and usage, without secrets; also while the service runs."""
    from bot.data import database
    from bot.data import export as exporting

    try:
        settings = settings_file.load(os.environ, home)
        with database.look(settings) as (tx, redact):
            for line in exporting.export(tx, project, wanted, redact):
                sys.stdout.write(line)
            sys.stdout.flush()
    except AutocoderError as error:
        raise typer.Exit(complain(error)) from error
    except BrokenPipeError:  # whoever read has read enough
        _read_no_more()
        raise typer.Exit(Exit.UNFINISHED) from None
    except OSError as error:
        _read_no_more()
        words = f"The output cannot be written: {error.strerror}."
        raise typer.Exit(complain(AutocoderError(words))) from error


def _read_no_more() -> None:
    """What is left in the buffer would fail once more when the program ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
