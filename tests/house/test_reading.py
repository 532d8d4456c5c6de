"""Reading, and passing on: what is shown is read in `core/views`, and nothing is said twice."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.sources import modules, name, tree, within

TABLES = {"core.store.tables", "core.store.chat_tables"}

# Functions that hand exactly their own parameters to another one, each with its reason.
CIRCLE = "the prover stops agents, whose tools ask the prover: one of them is there later"
PASSES_ON = {
    "bot/app.py:_wire.freeze": CIRCLE,
    "bot/app.py:_wire.end_run": CIRCLE,
    "core/orchestrator/tick.py:Orchestrator.next_due": "what it looks up is its own",
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def _imports(path: Path) -> Iterator[tuple[str, str]]:
    """Every module that is imported, and what of it."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=names):
                yield from ((each.name, "") for each in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((module, each.name) for each in names)
            case _:
                pass


def _reads_rows(path: Path) -> bool:
    for module, what in _imports(path):
        if module.partition(".")[0] == "sqlalchemy" and (module, what) != (
            "sqlalchemy.orm",
            "Session",
        ):
            return True
        if module in TABLES or f"{module}.{what}" in TABLES:
            return True
    return False


def test_what_is_shown_is_read_by_views() -> None:
    """A row that is shown is selected there alone; who decides does it in an operation."""
    rooms = within("bot/", "adapters/", "mcp_server/")
    assert rooms
    assert {name(path) for path in rooms if _reads_rows(path)} == set()


def _functions(node: ast.AST, inside: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its name: `Class.method`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{inside}{child.name}.")
        elif isinstance(child, Function):
            yield f"{inside}{child.name}", child
            yield from _functions(child, f"{inside}{child.name}.")
        else:
            yield from _functions(child, inside)


def _only_call(function: Function) -> ast.Call | None:
    """The call that is all a function does, if that is so."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    if len(body) != 1 or not isinstance(body[0], ast.Return | ast.Expr):
        return None
    value = body[0].value
    if isinstance(value, ast.Await):
        value = value.value
    return value if isinstance(value, ast.Call) else None


def _names(call: ast.Call) -> list[str] | None:
    """What is handed over, where it is names alone that keep their name."""
    given: list[str] = []
    for each in call.args:
        stars = "*" if isinstance(each, ast.Starred) else ""
        value = each.value if isinstance(each, ast.Starred) else each
        if not isinstance(value, ast.Name):
            return None
        given.append(stars + value.id)
    for keyword in call.keywords:
        if not isinstance(keyword.value, ast.Name) or keyword.arg not in (None, keyword.value.id):
            return None
        given.append(keyword.value.id if keyword.arg else f"**{keyword.value.id}")
    return given


def _passes_on(function: Function) -> bool:
    call = None if function.decorator_list else _only_call(function)
    if call is None:
        return False
    taken = function.args
    own = [each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    own += [f"*{taken.vararg.arg}"] if taken.vararg else []
    own += [f"**{taken.kwarg.arg}"] if taken.kwarg else []
    own = [each for each in own if each not in ("self", "cls")]
    given = _names(call)
    return bool(own) and given is not None and sorted(given) == sorted(own)


def test_no_function_only_passes_on() -> None:
    """Whoever calls it can call the other one."""
    found = {
        f"{name(path)}:{called}"
        for path in modules()
        for called, function in _functions(tree(path))
        if _passes_on(function)
    }
    assert found - set(PASSES_ON) == set()
    assert set(PASSES_ON) - found == set(), "this one does no longer"


def _defined(module: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in module.body:
        match node:
            case (
                ast.FunctionDef(name=word)
                | ast.AsyncFunctionDef(name=word)
                | ast.ClassDef(name=word)
            ):
                found.add(word)
            case ast.Assign(targets=targets):
                found |= {each.id for each in targets if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=word)):
                found.add(word)
            case _:
                pass
    return found


def _exported(module: ast.Module) -> set[str]:
    """What `__all__` names."""
    for node in module.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id == "__all__" for each in node.targets
        ):
            return {
                each.value
                for each in ast.walk(node.value)
                if isinstance(each, ast.Constant) and isinstance(each.value, str)
            }
    return set()


def test_everything_is_imported_from_where_it_is_defined() -> None:
    found = []
    for path in modules():
        module = tree(path)
        for node in ast.walk(module):
            if isinstance(node, ast.Import | ast.ImportFrom):
                found += [
                    f"{name(path)}:{each.name} as {each.asname}"
                    for each in node.names
                    if each.asname is not None and each.asname == each.name.rpartition(".")[2]
                ]
        found += [f"{name(path)}:{word}" for word in _exported(module) - _defined(module)]
    assert found == []


def test_no_module_only_imports() -> None:
    found = []
    for path in modules():
        body = tree(path).body
        rest = [
            node
            for node in body
            if not isinstance(node, ast.Import | ast.ImportFrom)
            and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ]
        if not rest and len(body) > 1:
            found.append(name(path))
    assert found == []
