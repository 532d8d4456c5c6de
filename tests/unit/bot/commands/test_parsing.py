"""Command lines: found, read, or refused with the nearest one, literally."""

import re
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands import COMMANDS, PLANNED
from bot.commands.command import Argument, CommandSpec, Kind
from bot.commands.parsing import Parsed, distance, find, find_typed, nearest, parse, typed
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


@pytest.mark.parametrize(
    ("line", "reason", "project"),
    [
        ("reject project: naming is wrong", "project: naming is wrong", None),
        ("reject project:naming is wrong", "project:naming is wrong", None),
        ("reject project: my naming is wrong", "project: my naming is wrong", None),
        ("reject the name is that of project:my", "the name is that of project:my", None),
        ("reject project:MY naming is wrong", "naming is wrong", "MY"),
        ('reject project:"my shop" is slow', "is slow", "my shop"),
    ],
)
def test_a_text_is_not_robbed_of_its_words(line: str, reason: str, project: str | None) -> None:
    parsed = read(line)
    assert (parsed.values, parsed.project) == ({"reason": reason}, project)


def test_where_no_project_lives_one_that_is_named_so_is_meant() -> None:
    spec, rest = find("reject project:nothing is wrong", COMMANDS)
    assert parse(spec, rest, NAMES, here=False).project == "nothing"  # which there is not


_WORDS = st.text(min_size=1, max_size=60).map(str.strip).filter(
    lambda words: bool(words.strip()) and "project:" not in words.lower()
)  # fmt: skip
_NAMES = st.from_regex(r"[a-z][a-z0-9]{3,20}( [a-z]{3,9})?", fullmatch=True).filter(
    lambda name: not set(name.split()) & set(NAMES)
)


def _value(argument: Argument) -> st.SearchStrategy[str]:
    match argument.kind:
        case Kind.NUMBER:
            return st.integers(0, 999_999).map(str)
        case Kind.NUMBERS:
            some = st.lists(st.integers(0, 9_999), min_size=1, max_size=5, unique=True)
            return some.map(lambda numbers: " ".join(map(str, numbers)))
        case Kind.WORD:
            return st.sampled_from(argument.choices)
        case Kind.ONE:
            return st.from_regex(r"[a-z:_0-9.]{1,12}", fullmatch=True)
        case Kind.TEXT:
            return _WORDS
        case Kind.NAME:
            return _NAMES
        case Kind.PROJECT:
            return st.sampled_from(NAMES)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[CommandSpec, dict[str, str]]:
    spec = draw(st.sampled_from(list(COMMANDS.values())))
    most = draw(st.integers(sum(a.required for a in spec.arguments), len(spec.arguments)))
    return spec, {each.name: draw(_value(each)) for each in spec.arguments[:most]}


@given(_calls(), st.booleans())
def test_what_is_typed_by_names_and_what_is_said_in_a_line_are_the_same(
    call: tuple[CommandSpec, dict[str, str]], named: bool
) -> None:
    spec, values = call
    assert typed(spec, values, NAMES).values == values
    said = [f"{each.after} {values[each.name]}" for each in spec.arguments if each.name in values]
    about = "project:todo-api " if named and spec.project else ""
    line = f"/autocoder {spec.name} {about}{' '.join(map(str.strip, said))}"
    found, rest = find(line, COMMANDS)
    parsed = parse(found, rest, NAMES, here=True)
    assert (found, parsed.values) == (spec, values)
    assert parsed.project == ("todo-api" if about else None)


@given(st.text(min_size=1, max_size=80).filter(lambda words: bool(words.strip())))
def test_typed_words_are_taken_as_they_are(words: str) -> None:
    assert typed(COMMANDS["reject"], {"reason": words}, NAMES).values == {"reason": words}


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.dictionaries(st.sampled_from(["n", "text", "name", "model", "x"]), st.text(max_size=40)),
)
def test_no_typed_value_breaks_the_reader(name: str, values: dict[str, str]) -> None:
    try:
        typed(*find_typed(name, values, COMMANDS, PLANNED), NAMES)
    except InputError as refused:
        assert str(refused)


def test_stop_after_a_feature_is_an_option_of_stop() -> None:
    spec, values = find_typed("stop", {"after": "feature"}, COMMANDS)
    assert (spec.name, values) == ("stop after feature", {})
    assert find_typed("stop", {}, COMMANDS)[0].name == "stop"


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("retry", {"n": "x"}, "no number"),
        ("retry", {"n": "3", "model": "opsu"}, "Did you mean `/autocoder retry 3 opus`?"),
        ("retry", {"model": "opus"}, "wants the number"),
        ("reject", {"reason": " \n"}, "wants a reason"),
        ("reject", {"nonsense": "x"}, "no argument"),
        ("use", {"name": "todoapi"}, "Did you mean `/autocoder use todo-api`?"),
        ("role", {"user": "web:ada"}, "wants a role"),
    ],
)
def test_typed_values_that_do_not_fit_are_named(
    name: str, values: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        typed(COMMANDS[name], values, NAMES)
    assert said in f"{refused.value} {refused.value.hint}"


READING = (
    "list", "status", "board", "graph", "inbox", "preview", "plan", "spec", "diff", "tasks", "task",
    "agents", "logs", "why", "cost", "help", "check", "members",
)  # fmt: skip


def read(line: str) -> Parsed:
    spec, rest = find(line, COMMANDS, PLANNED)
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


@pytest.mark.parametrize(
    "line",
    [
        "stop nonsense", "archive everything", "retry 3 whatever", "budget foo 3",
        "budget raise 30", "budget running 30", "role web:ada boss", "claim CODE and more",
        "role web:ada admin everywhere",
    ],
)  # fmt: skip
def test_beyond_a_slip_nothing_that_changes_something_is_proposed(line: str) -> None:
    with pytest.raises(InputError) as refused:
        read(line)
    assert "Did you mean" not in refused.value.hint
    assert refused.value.hint.startswith("`/autocoder ")


@pytest.mark.parametrize("line", ["phase delete 1", "feature remove x"])
def test_beyond_a_slip_a_family_is_explained(line: str) -> None:
    family = line.split()[0]
    with pytest.raises(InputError) as refused:
        read(line)
    hint = refused.value.hint
    assert f"Did you mean `/autocoder help {family} add`?" in hint


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("role web:ada admin in My Shop", "role USER ROLE in PROJECT"),
        ("role web:ada admin in", "role USER ROLE in PROJECT"),
        ("why app/store.py", "why FILE"),
    ],
)
def test_a_form_that_is_not_built_yet_is_said_to_be_so(line: str, form: str) -> None:
    with pytest.raises(InputError) as refused:
        read(line)
    assert str(refused.value) == f"`{form}` is not built yet in this version."


def test_what_is_no_number_is_said_in_a_sentence() -> None:
    with pytest.raises(InputError) as refused:
        read("skip everything")
    assert str(refused.value) == (
        "'everything' is no number: `/autocoder skip` wants the numbers of tasks."
    )


@given(st.from_regex(r"[a-z]{1,12}", fullmatch=True))
def test_a_word_that_is_no_command_leads_to_none_that_changes_something(word: str) -> None:
    try:
        read(word)
    except InputError as refused:
        meant = re.search(r"Did you mean `/autocoder ([a-z ]+)`", refused.hint)
        if meant is None or meant[1] not in COMMANDS:
            return
        begins = any(name.startswith(f"{word} ") for name in COMMANDS)
        slip = distance(word, meant[1]) <= max(len(word), len(meant[1])) / 3
        assert meant[1] in READING or begins or slip


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.lists(
        st.from_regex(r"[a-z]{1,9}|[0-9]{1,2}|in|by|default|none", fullmatch=True), max_size=4
    ),
)
def test_an_argument_that_fits_nothing_leads_to_no_change_beyond_a_slip(
    name: str, words: list[str]
) -> None:
    line = " ".join((name, *words))
    try:
        read(line)
    except InputError as refused:
        meant = re.search(r"Did you mean `/autocoder ([^`]+)`", refused.hint)
        if meant is None:
            return
        spec, _ = find(meant[1], COMMANDS)
        assert (
            spec.name in READING or distance(line, meant[1]) <= max(map(len, (line, meant[1]))) / 3
        )
        if len(words) == 1:
            read(meant[1])


@pytest.mark.parametrize("name", PLANNED)
def test_what_is_not_built_yet_is_said_to_be_so(name: str) -> None:
    for line in (name, f"{name} 12 before 13", f"/{name.upper()}"):
        with pytest.raises(InputError) as refused:
            read(line)
        assert str(refused.value) == f"`{name}` is not built yet in this version."
    assert name not in COMMANDS


def test_a_word_whose_value_is_there_is_not_proposed_again() -> None:
    with pytest.raises(InputError) as refused:
        read("logs 3 warning erorr")
    assert "warning error" not in refused.value.hint


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
