"""The command line: `autocoder …`, which is `python -m bot …`."""

from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(
    name="autocoder",
    help="Builds software from a spec with coding agents, and accepts only what is proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autocoder {version('autocoder')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None: ...


def main() -> None:
    app()
