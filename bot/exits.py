"""Exit statuses of the command line."""

from enum import IntEnum

import typer

from core.errors import AutocoderError, HostUnfit, InputError


class Exit(IntEnum):
    COMPLETED = 0
    UNFINISHED = 1
    BAD_INPUT = 2
    HOST_UNFIT = 3
    INTERRUPTED = 130


def complain(error: AutocoderError) -> Exit:
    """Say what is wrong on stderr; the exit status that goes with it."""
    typer.echo(f"■ {error}", err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)
    if isinstance(error, InputError):
        return Exit.BAD_INPUT
    return Exit.HOST_UNFIT if isinstance(error, HostUnfit) else Exit.UNFINISHED
