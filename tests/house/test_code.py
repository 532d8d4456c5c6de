"""House rules that no linter knows (CONTRIBUTING.md, "Rules")."""

import ast
import re
from pathlib import Path

import pytest

from tests.house.sources import ROOT, calls, dotted, modules, name, tracked, tree, within

# The places where a failure of any kind becomes words for a person, each with its reason.
DOORS = {
    "bot/delivery.py:_attempt": "a card that cannot be shown is tried later; the others go on",
    "bot/router.py:_settled": "what one delivery could not do becomes a private card",
    "bot/router.py:_refused": "a delivery that cannot even be refused is logged; the others go on",
    "core/orchestrator/tick.py:_guard": "what one piece of work could not do ends with its run",
}

# Who may look at the environment: the command line hands it to bot.settings; the others run
# programs, which need a PATH.
READS_ENVIRONMENT = ("bot/cli.py", "bot/data/commands.py", "bot/__main__.py", "adapters/")

CLOCK = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"}


def _offences(found: list[tuple[Path, int]]) -> list[str]:
    return [f"{name(path)}:{line}" for path, line in found]


def _catch_alls(path: Path) -> set[str]:
    """The functions of a module that catch anything, as `file.py:function`."""
    found = set()
    for parent in ast.walk(tree(path)):
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            within_it = getattr(parent, "name", "module")
            for node in ast.walk(parent):
                if isinstance(node, ast.ExceptHandler) and (
                    node.type is None or dotted(node.type) in {"Exception", "BaseException"}
                ):
                    found.add(f"{name(path)}:{within_it}")
    return found - {f"{name(path)}:module"} or found


def test_failures_are_caught_by_name() -> None:
    found = {place for path in modules() for place in _catch_alls(path)}
    assert found - set(DOORS) == set()
    assert set(DOORS) - found == set(), "this door is gone"


def test_a_status_moves_only_through_lifecycle() -> None:
    found = []
    for path in modules():
        if name(path) == "core/domain/lifecycle.py":
            continue
        for node in ast.walk(tree(path)):
            match node:
                case ast.Assign(targets=targets):
                    pass
                case ast.AugAssign(target=target) | ast.AnnAssign(target=target, value=ast.expr()):
                    targets = [target]
                case ast.Call(func=ast.Attribute(attr="values"), keywords=keywords) if any(
                    keyword.arg == "status" for keyword in keywords
                ):
                    found.append((path, node.lineno))
                    continue
                case _:
                    continue
            if any(isinstance(each, ast.Attribute) and each.attr == "status" for each in targets):
                found.append((path, node.lineno))
    assert _offences(found) == []


def test_statuses_are_compared_with_values_not_with_texts() -> None:
    found = []
    for path in modules():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                named = any(
                    isinstance(side, ast.Attribute) and side.attr in {"status", "outcome", "kind"}
                    for side in sides
                )
                if named and any(
                    isinstance(side, ast.Constant) and isinstance(side.value, str) for side in sides
                ):
                    found.append((path, node.lineno))
    assert _offences(found) == []


def test_now_is_an_argument() -> None:
    rooms = within("core/domain/", "core/ports/", "core/operations/")
    assert rooms
    found = [
        (path, call.lineno)
        for path in rooms
        for called, call in calls(path)
        if ".".join(called.split(".")[-2:]) in CLOCK
    ]
    assert _offences(found) == []


def test_domain_and_ports_touch_nothing_outside() -> None:
    reach = {"open", "input", "print", "uuid4", "uuid1", "exists", "read_text", "write_text"}
    reach |= {"read_bytes", "write_bytes", "resolve", "stat", "mkdir", "unlink", "iterdir", "cwd"}
    found = [
        (path, call.lineno)
        for path in within("core/domain/", "core/ports/", "core/errors.py")
        for called, call in calls(path)
        if called.split(".")[-1] in reach
    ]
    assert _offences(found) == []


def test_the_environment_is_read_at_the_door() -> None:
    found = [
        (path, node.lineno)
        for path in modules()
        if not name(path).startswith(READS_ENVIRONMENT)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and dotted(node) in {"os.environ", "os.getenv"}
    ]
    assert _offences(found) == []


def test_operations_take_a_transaction_first() -> None:
    """`f(tx, …)`: what can be done is a function of a transaction."""
    found = []
    for path in within("core/operations/"):
        for node in tree(path).body:
            match node:
                case ast.AsyncFunctionDef():
                    found.append((path, node.lineno))
                case ast.FunctionDef() if not node.name.startswith("_"):
                    arguments = [*node.args.posonlyargs, *node.args.args]
                    takes = any(each.arg == "now" for each in node.args.kwonlyargs)
                    if takes and (not arguments or arguments[0].arg != "tx"):
                        found.append((path, node.lineno))
                case _:
                    pass
    assert _offences(found) == []


def test_no_future_imports() -> None:
    found = [
        (path, node.lineno)
        for path in modules()
        for node in tree(path).body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert _offences(found) == []


def test_money_is_never_a_float() -> None:
    """Nothing whose name says dollars is annotated as float."""
    found = []
    for path in modules():
        for node in ast.walk(tree(path)):
            match node:
                case (
                    ast.AnnAssign(target=ast.Name(id=word))
                    | ast.AnnAssign(target=ast.Attribute(attr=word))
                ):
                    annotation: ast.expr | None = node.annotation
                case ast.arg(arg=word):
                    annotation = node.annotation
                case _:
                    continue
            money = re.search(r"(^|_)(usd|cost|price|micro)($|_)", word)
            if money and annotation is not None and "float" in ast.unparse(annotation):
                found.append((path, node.lineno))
    assert _offences(found) == []


CODES = r"[A-Z]+[0-9]+(?:, ?[A-Z]+[0-9]+)*"
SUPPRESSION = re.compile(
    rf"#\s*(?:type:\s*ignore(?:\[[\w, -]+\])?|noqa(?::\s*{CODES})?|pragma: no cover)"
)


def test_what_is_silenced_says_why() -> None:
    """`# type: ignore[code]  # reason`, or a comment on the line above."""
    found = []
    for path in tracked():
        if path.suffix != ".py" or path == Path(__file__):
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if silenced := SUPPRESSION.search(line):
                rest = line[silenced.end() :].strip(" #-–:")
                above = lines[number - 1].strip() if number else ""
                if len(rest) < 8 and not above.startswith("#"):
                    found.append((path, number + 1))
    assert _offences(found) == []


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK"])
def test_nothing_is_left_for_later_in_a_comment(word: str) -> None:
    marked = re.compile(rf"#.*\b{word}\b")
    assert [name(path) for path in modules() if marked.search(path.read_text())] == []


def _fails(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    for node in ast.walk(function):
        match node:
            case ast.Assert() | ast.Raise():
                return True
            case ast.Call(func=func):
                last = dotted(func).split(".")[-1]
                if last in {"raises", "fail"} or last.startswith(("assert", "check", "expect")):
                    return True
            case _:
                pass
    return False


def test_every_test_says_what_it_expects() -> None:
    tests = [path for path in tracked() if path.is_relative_to(ROOT / "tests")]
    functions = [
        (path, node)
        for path in tests
        if path.name.startswith("test_") and path.suffix == ".py"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
    ]
    assert functions
    assert _offences([(path, node.lineno) for path, node in functions if not _fails(node)]) == []
