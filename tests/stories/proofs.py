"""What must hold of a delivered repository and of the money, whatever happened on the way."""

import json
import subprocess
from collections import Counter
from pathlib import Path

from tests.scripted.process import Booked
from tests.stories.world import World


def hold(world: World) -> None:
    """All of it, for a completed project."""
    one_commit_per_task(world)
    stranger_can_use_it(world)
    green_all_along(world)
    report_is_last(world)
    money_is_exact(world)


def one_commit_per_task(world: World) -> None:
    found: Counter[tuple[str, str]] = Counter()
    trailers = "%(trailers:key=Autocoder-Task,valueonly,separator=%x20)"
    slugs = "%(trailers:key=Autocoder-Feature,valueonly,separator=%x20)"
    for line in world.git("log", "main", f"--format={trailers}|{slugs}").splitlines():
        task, _, slug = line.partition("|")
        if task:
            found[task, slug] += 1
    passing = world.rows(
        "SELECT t.number, f.slug FROM tasks t JOIN features f ON f.id = t.feature_id"
        " WHERE t.status = 'passing'"
    )
    assert found == {(str(number), slug): 1 for number, slug in passing}


def stranger_can_use_it(world: World) -> None:
    place = world.clone()
    project = world.rows("SELECT setup, checks FROM projects")[0]
    own = world.column("SELECT checks FROM tasks WHERE status = 'passing'")
    checks = [check for checks in own for check in json.loads(checks)]
    for command in (*json.loads(project["setup"]), *json.loads(project["checks"]), *checks):
        assert runs(command, place), command


def green_all_along(world: World) -> None:
    """Each first-parent commit after the first passes setup and the checks landed so far."""
    project = world.rows("SELECT setup, checks FROM projects")[0]
    place = world.clone()
    landed = {
        row["landed_commit"]: row["id"]
        for row in world.rows("SELECT id, landed_commit FROM features WHERE landed_commit NOT NULL")
    }
    commits = world.git("rev-list", "--first-parent", "--reverse", "main").split()[1:]
    commands = [*json.loads(project["setup"]), *json.loads(project["checks"])]
    for commit in commits:
        if commit in landed:
            own = world.column(
                "SELECT checks FROM tasks WHERE status = 'passing' AND feature_id = ?",
                landed[commit],
            )
            commands += [check for checks in own for check in json.loads(checks)]
        world.git("checkout", "-q", "--force", commit, folder=place)
        world.git("clean", "-qfdx", folder=place)
        for command in commands:
            assert runs(command, place), f"{command} at {commit}"
    assert set(landed) <= set(commits)


def report_is_last(world: World) -> None:
    last = world.git("show", "--name-only", "--format=", "main").split()
    assert sorted(last) == [".autocoder/report.json", ".autocoder/report.md"]
    report = json.loads(world.git("show", "main:.autocoder/report.json"))
    assert report["project"]["status"] == "completed"
    statuses = {task["name"]: task["status"] for task in report["tasks"]}
    assert statuses == world.statuses()
    assert all(
        any(evidence["accepted"] for evidence in task["evidence"])
        for task in report["tasks"]
        if task["status"] == "passing"
    )


def runs(command: str, folder: Path) -> bool:
    return subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True).returncode == 0


Figures = tuple[str, int, int, int, int]


def booked_rows(world: World) -> dict[str, Figures]:
    """Usage rows by message id; each message has one."""
    rows = world.rows(
        "SELECT message_id, model, input, cache_read, cache_write_5m, output FROM usage_entries"
    )
    found = {row[0]: tuple(row)[1:] for row in rows}
    assert len(found) == len(rows)
    return found


def money_is_exact(world: World) -> None:
    """Every message the model's server finished is a row, with its figures, and no other."""
    assert world.model is not None
    assert booked_rows(world) == {
        entry.message_id: _figures(entry) for entry in world.model.messages().values()
    }


def money_is_nearly_exact(world: World, *, missing: int) -> None:
    """After kills: no row too many, none wrong, at most so many missing."""
    assert world.model is not None
    rows = booked_rows(world)
    books = {entry.message_id: _figures(entry) for entry in world.model.messages().values()}
    assert rows == {message: books[message] for message in rows}
    assert len(books) - len(rows) <= missing


def _figures(entry: Booked) -> Figures:
    return (
        entry.model,
        entry.input_tokens,
        entry.cache_read_input_tokens,
        entry.cache_creation_input_tokens,
        entry.output_tokens,
    )
