"""Command lines: found, read, or refused with the nearest one, literally."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import COMMANDS
from bot.commands.parsing import Parsed, distance, find, nearest, parse
from core.errors import AutocoderError, InputError

NAMES = ("todo-api", "My Shop", "my")


@pytest.mark.parametrize(
    ("line", "name", "values", "project"),
    [
        ("", "help", {}, None),
        ("/autocoder status", "status", {}, None),
        ("STATUS", "status", {}, None),
        ('status "My Shop"', "status", {}, "My Shop"),
        ("status my shop", "status", {}, "My Shop"),
        ("status project:todo-api", "status", {}, "todo-api"),
        ('new "My Shop"', "new", {"name": "My Shop"}, None),
        ("new todo api", "new", {"name": "todo api"}, None),
        ("task 12", "task", {"n": "12"}, None),
        ("task #12 todo-api", "task", {"n": "12"}, "todo-api"),
        ("task todo-api 12", "task", {"n": "12"}, "todo-api"),
        ("task add say hello", "task add", {"text": "say hello"}, None),
        ("Feature Add  export", "feature add", {"text": "export"}, None),
        ("retry 3 OPUS", "retry", {"n": "3", "model": "opus"}, None),
        ("skip 3, 4 5", "skip", {"n": "3 4 5"}, None),
        ("skip 3,4", "skip", {"n": "3 4"}, None),
        ("logs", "logs", {}, None),
        ("logs todo-api", "logs", {}, "todo-api"),
        ("logs 3 warning todo-api", "logs", {"n": "3", "level": "warning"}, "todo-api"),
        ("logs error", "logs", {"level": "error"}, None),
        ("guide 3 use  port\n8080", "guide", {"n": "3", "text": "use  port\n8080"}, None),
        ("reject 'quoted' and more", "reject", {"reason": "'quoted' and more"}, None),
        ("reject todo-api is slow", "reject", {"reason": "is slow"}, "todo-api"),
        ('reject project:"My Shop" slow', "reject", {"reason": "slow"}, "My Shop"),
        ("cost week", "cost", {"span": "week"}, None),
        ("cost my", "cost", {}, "my"),
        ("cost today by model", "cost", {"span": "today", "by": "model"}, None),
        ("cost by task week", "cost", {"span": "week", "by": "task"}, None),
        ("cost by feature todo-api", "cost", {"by": "feature"}, "todo-api"),
        ("settings max_parallel 3", "settings", {"key": "max_parallel", "value": "3"}, None),
        ("role slack:U1 admin", "role", {"user": "slack:U1", "role": "admin"}, None),
    ],
)
def test_lines_that_are_meant(
    line: str, name: str, values: dict[str, str], project: str | None
) -> None:
    spec, rest = find(line, COMMANDS)
    assert spec.name == name
    parsed = parse(spec, rest, NAMES, here=False)
    assert dict(parsed.values) == values
    assert parsed.project == project


@pytest.mark.parametrize(
    ("line", "what", "project"),
    [
        ("diff", None, None),
        ("diff 1", "1", None),
        ("diff todo-api", None, "todo-api"),
        ("diff 1 todo-api", "1", "todo-api"),
        ('diff Sign in "My Shop"', "Sign in", "My Shop"),
        ("diff todo-api my", "todo-api", "my"),
        ("diff Find my shop", "Find", "My Shop"),
    ],
)
def test_a_projects_name_may_stand_behind_a_features(
    line: str, what: str | None, project: str | None
) -> None:
    parsed = read(line)
    assert (parsed.values.get("what"), parsed.project) == (what, project)


@pytest.mark.parametrize("gap", [" ", " " * 40_000])
def test_a_long_line_is_read_in_no_time(gap: str) -> None:
    line = f"diff {f'a{gap}' * (90_000 // (len(gap) + 1))}my shop"
    begun = perf_counter()
    assert read(line).project == "My Shop"
    assert perf_counter() - begun < 5  # it took twenty


def test_a_reason_may_begin_with_a_projects_name_where_the_place_says_which_is_meant() -> None:
    spec, rest = find("reject todo-api is slow", COMMANDS)
    parsed = parse(spec, rest, NAMES, here=True)
    assert parsed.values == {"reason": "todo-api is slow"}
    assert parsed.project is None


def read(line: str) -> Parsed:
    spec, rest = find(line, COMMANDS)
    return parse(spec, rest, NAMES, here=True)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("statsu", "status"),
        ("stauts", "status"),
        ("aprove", "approve"),
        ("lsit", "list"),
        ("feature ad export", "feature add"),
        ("feature", "feature add"),
        ("status todo-ap", "status todo-api"),
        ("status My Shp", "status My Shop"),
        ("cost weak", "cost week"),
        ("retry 3 opsu", "retry 3 opus"),
        ("logs 3 warnings", "logs 3 warning"),
        ("role web:ada aprover", "role web:ada approver"),
        ("tasks stuk", "tasks stuck"),
        ("list all", "list"),
        ("use todoapi", "use todo-api"),
    ],
)
def test_the_nearest_is_offered_literally(line: str, meant: str) -> None:
    with pytest.raises(InputError) as refused:
        read(line)
    assert f"Did you mean `/autocoder {meant}`?" in refused.value.hint


@pytest.mark.parametrize("line", ["task", "task x", "skip", "skip x", "reject", "new", "guide 3"])
def test_what_is_missing_is_named(line: str) -> None:
    with pytest.raises(InputError) as refused:
        read(line)
    assert "/autocoder" in refused.value.hint


@given(st.text(max_size=300))
def test_no_line_breaks_the_reader(line: str) -> None:
    try:
        spec, rest = find(line, COMMANDS)
        parse(spec, rest, NAMES, here=False)
    except AutocoderError as refused:
        assert str(refused)


@given(st.sampled_from(sorted(COMMANDS)), st.integers(0, 20), st.sampled_from("abcxyz"))
def test_one_slip_of_a_finger_is_seen_through(name: str, at: int, letter: str) -> None:
    typed = f"{name[:at]}{letter}{name[at:]}"
    found = nearest(typed, list(COMMANDS))
    assert distance(typed, found) <= 1


def test_distance_counts_a_swap_once() -> None:
    assert distance("statsu", "status") == 1
    assert distance("", "abc") == 3
    assert distance("kitten", "sitting") == 3
