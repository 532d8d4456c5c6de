"""The command line: `autocoder …`, which is `python -m bot …`."""

import os
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bot import check as host_check
from bot.app import host_probes

EXIT_UNFIT = 3

Home = Annotated[Path | None, typer.Option("--home", help="Data folder; wins over AUTOCODER_HOME.")]

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


@app.command()
def check(
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Say what is missing or wrong on this host, and how to mend it."""
    findings = host_check.check(os.environ, home, host_probes())
    if as_json:
        typer.echo(host_check.as_json(findings))
    else:
        host_check.show(findings, Console())
    if not host_check.is_fit(findings):
        raise typer.Exit(EXIT_UNFIT)


def main() -> None:
    app()
