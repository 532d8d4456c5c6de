"""Whether a shell command may run: every command in it, however nested, must be allowed.

A pure judgement over the syntax tree of `shfmt --to-json`. Deny by default: a node of an unknown
kind, a program that is not named literally, or one that is not on the list is refused, with words
that tell the agent what to do instead. The box is what holds; this is good manners.
"""

import posixpath
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import assert_never

from core.domain.bash_programs import ALLOWED, Inner, Refused, Script, findings, refusal_of
from core.domain.bash_words import Folder, Word, forbidden_name, read_word

_KNOWN = frozenset(
    [
        "ArithmCmd",
        "ArithmExp",
        "BinaryArithm",
        "BinaryCmd",
        "BinaryTest",
        "Block",
        "BraceExp",
        "CallExpr",
        "CaseClause",
        "CmdSubst",
        "CStyleLoop",
        "DblQuoted",
        "DeclClause",
        "ExtGlob",
        "File",
        "ForClause",
        "FuncDecl",
        "IfClause",
        "LetClause",
        "Lit",
        "ParamExp",
        "ParenArithm",
        "ParenTest",
        "ProcSubst",
        "SglQuoted",
        "Subshell",
        "TestClause",
        "TimeClause",
        "UnaryArithm",
        "UnaryTest",
        "WhileClause",
        "Word",
        "WordIter",
    ]
)
_WRITES = {">", ">>", ">|", "&>", "&>>", "<>", ">&"}
_TEXTS = {"<<", "<<-", "<<<"}
_DEEPEST = 10
_LEVELS = 500  # of the syntax tree; a chain of 200 `&&` has 400, and what parses it knows no limit
_DECLARED = {"export", "declare", "local", "readonly", "typeset"}


@dataclass(frozen=True)
class Verdict:
    """Allowed; or not, and what to do instead."""

    allowed: bool
    reason: str = ""


JudgeCommand = Callable[[str], Awaitable[Verdict]]


@dataclass
class Judgement:
    """What a syntax tree amounts to. `scripts` are texts in it that a shell would run too."""

    reason: str | None = None
    scripts: list[str] = field(default_factory=list)


def judge(
    tree: Mapping[str, object],
    *,
    folder: Folder | None = None,
    extra: AbstractSet[str] = frozenset(),
) -> Judgement:
    """Judge a tree. `extra` names further allowed programs (settings)."""
    walk = _Walk(folder or Folder(), ALLOWED | extra)
    nodes = _nodes(tree)
    if nodes is None:
        return Judgement("The command is nested too deeply. Write it more simply.")
    walk.functions = {_name(node) for node in nodes if node.get("Type") == "FuncDecl"}
    for node in nodes:
        walk.reason = walk.node(node)
        if walk.reason is not None:
            break
    return Judgement(walk.reason, walk.scripts)


def _nodes(tree: Mapping[str, object]) -> list[Mapping[str, object]] | None:
    """Every object in the tree, without recursion; None if it nests deeper than `_LEVELS`."""
    found: list[Mapping[str, object]] = []
    pending: list[tuple[object, int]] = [(tree, 0)]
    while pending:
        value, level = pending.pop()
        if level > _LEVELS:
            return None
        if isinstance(value, Mapping):
            found.append(value)
            pending.extend((inner, level + 1) for inner in value.values())
        elif isinstance(value, Sequence) and not isinstance(value, str):
            pending.extend((inner, level + 1) for inner in value)
    return found


def _name(node: Mapping[str, object], key: str = "Name") -> str:
    name = node.get(key)
    value = name.get("Value") if isinstance(name, Mapping) else None
    return value if isinstance(value, str) else ""


def _list(node: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = node.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [entry for entry in value if isinstance(entry, Mapping)]


@dataclass
class _Walk:
    folder: Folder
    allowed: AbstractSet[str]
    functions: AbstractSet[str] = frozenset()
    scripts: list[str] = field(default_factory=list)
    reason: str | None = None

    def node(self, node: Mapping[str, object]) -> str | None:
        kind = node.get("Type")
        if kind is not None and str(kind) not in _KNOWN:
            return f"This kind of shell syntax ({kind}) is not allowed. Write it more simply."
        if node.get("Background") or node.get("Coprocess"):
            return "Nothing may run on after its call: leave out `&`, and use `timeout`."
        for redirect in _list(node, "Redirs"):
            if reason := self._redirect(redirect):
                return reason
        match kind:
            case "CallExpr":
                return self._call_expression(node)
            case "DeclClause":
                return self._declaration(node)
            case "ForClause":
                loop = node.get("Loop")
                return self._assigns(_name(loop)) if isinstance(loop, Mapping) else None
            case "ParamExp":
                return self._parameter(node)
            case "BinaryArithm" | "UnaryArithm":
                side = node.get("X")
                return self._assigns(read_word(side).start) if isinstance(side, Mapping) else None
            case _:
                return None

    def _assigns(self, name: str) -> str | None:
        if forbidden_name(name):
            return f"{name} may not be set: it steers which programs run."
        return None

    def _redirect(self, redirect: Mapping[str, object]) -> str | None:
        operator, word = str(redirect.get("Op", "")), read_word(redirect.get("Word"))
        if operator in _TEXTS:
            return None
        if operator in {">&", "<&"} and re.fullmatch(r"\d+-?|-", word.text or ""):
            return None
        known = word.text if word.text is not None else word.start
        if not known or word.pattern:
            return "Name the file of a redirection literally, inside your working folder or /tmp."
        return self.folder.objection(word, writing=operator in _WRITES)

    def _call_expression(self, node: Mapping[str, object]) -> str | None:
        for assign in _list(node, "Assigns"):
            if reason := self._assigns(_name(assign)):
                return reason
        return self._call([read_word(word) for word in _list(node, "Args")], 0)

    def _declaration(self, node: Mapping[str, object]) -> str | None:
        if _name(node, "Variant") not in _DECLARED:
            return "Use export, declare, local or readonly."
        for argument in _list(node, "Args"):
            naked = argument.get("Naked") and "Value" in argument
            option = read_word(argument.get("Value")) if naked else Word("")
            if option.text is None:
                return "Name the variable literally."
            if re.match(r"[-+][A-Za-z]*n", option.text):
                return "A variable that stands for another is not allowed."
            name = _name(argument) or option.text.partition("=")[0]
            if reason := self._assigns(name):
                return reason
        return None

    def _parameter(self, node: Mapping[str, object]) -> str | None:
        expansion = node.get("Exp")
        sets = isinstance(expansion, Mapping) and str(expansion.get("Op")) in {"=", ":="}
        return self._assigns(_name(node, "Param")) if sets else None

    def _call(self, argv: Sequence[Word], depth: int) -> str | None:
        """Why a simple command is refused, with the commands that it would run."""
        if not argv:
            return None
        if depth > _DEEPEST:
            return "This command nests too deeply. Write it into a script file and run that."
        name = argv[0].text
        if name is None or (argv[0].pattern and name not in {"[", "[["}):
            return "Name the program literally: no variable, substitution or pattern in its place."
        program = self._program(name)
        if program is None:
            return None
        if program not in self.allowed:
            return refusal_of(name)
        for finding in findings(program, argv[1:], self.folder):
            match finding:
                case Refused(why):
                    return f"{name} is refused: {why}."
                case Inner(inner):
                    if reason := self._call(inner, depth + 1):
                        return reason
                case Script(text):
                    self.scripts.append(text)
                case _:
                    assert_never(finding)
        return None

    def _program(self, name: str) -> str | None:
        """The name to look up; None for a function or file of the agent's own."""
        if name in self.functions:
            return None
        if "/" not in name:
            return "python3" if re.fullmatch(r"python3\.\d+", name) else name
        folder, base = posixpath.split(posixpath.normpath(name))
        if folder in {"/bin", "/usr/bin", "/usr/local/bin"}:
            return base
        inside = self.folder.holds(name, writing=True) and not name.startswith("/dev/")
        return None if inside else name
