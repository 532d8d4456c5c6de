"""A plan for any spec: an honest small package that holds the spec's points.

The practice model does not understand a spec. What it plans is a package with the points of
the spec as data, and functions to number and find them: real code with real tests, and a README
that says what it is not.
"""

import keyword
import re
import sys
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256

from adapters.practice.outline import Outline, Section, clean

MAX_SECTIONS = 3
_NOT_A_PACKAGE = frozenset({"tests", "test", "docs", "points", "overview", "practice_notes"})
_WHOLE_CHECK = "python3 -m unittest discover -s tests -t ."

POINTS, OVERVIEW, SECTION, PAGE, REVIEW = (
    "practice points",
    "practice overview",
    "practice section",
    "practice page",
    "practice review",
)


@dataclass(frozen=True)
class Drafted:
    """A task of a drafted plan."""

    name: str
    category: str
    description: str
    steps: tuple[str, ...]
    test: str  # module below tests
    files: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    complexity: int = 1

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "category": self.category,
            "description": self.description,
            "steps": list(self.steps),
            "complexity": self.complexity,
            "checks": [f"python3 -m unittest tests.{self.test}"],
            "depends_on": list(self.depends_on),
            "files": list(self.files),
        }


def identifier(text: str, taken: Collection[str] = (), *, fallback: str) -> str:
    """A Python module name from any words, unlike those taken."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:32].strip("_")
    if not base or not base[0].isalpha() or len(base) < 2:
        base = f"{fallback}_{base}".strip("_")
    name, count = base, 2
    while name in taken or keyword.iskeyword(name):
        name, count = f"{base}_{count}", count + 1
    return name


def package_name(title: str) -> str:
    """The package of a title; never one that hides a module of Python's own."""
    return identifier(title, _NOT_A_PACKAGE | sys.stdlib_module_names, fallback="practice_project")


def plan(outline: Outline) -> dict[str, object]:
    """The plan as `plan_submit` takes it: one phase, or two if the spec has sections."""
    package = package_name(outline.title)
    taken = outline.sections[:MAX_SECTIONS]
    phases = [_foundation(outline, package)]
    if taken:
        phases.append(_sections(outline, package, taken))
    return {
        "summary": f"[practice] {outline.title}: a small package that holds the points of the"
        " spec, with functions to number and find them. The practice model does not build what"
        " the spec asks for.",
        "setup": [],
        "run": f"python3 -m {package}",
        "checks": [_WHOLE_CHECK],
        "phases": phases,
    }


def review(
    reasons: Collection[str],
    *,
    again: int = 0,
    title: str = "Answer to the review",
    words: str = "A person sent this back",
) -> dict[str, object]:
    """A feature that takes up why an earlier plan or phase was sent back, or what was added."""
    tasks = []
    names: set[str] = set()
    for reason in reasons:
        short = clean(reason, 60) or "the rejection"
        name = _unique(f"Take up: {short}{f' ({again + 1})' if again else ''}", names)
        # Names may differ in their last characters only; files of features side by side may not
        # be the same.
        module = f"review_{sha256(name.encode()).hexdigest()[:8]}"
        tasks.append(
            Drafted(
                name=name,
                category=REVIEW,
                description=f"{words}: {clean(reason, 2000)}",
                steps=(clean(reason, 300) or "Look at it again",),
                test=f"test_{module}",
                files=(f"tests/test_{module}.py",),
            ).as_json()
        )
    title = _unique(
        f"{title}{f' {again + 1}' if again else ''}: {clean(next(iter(reasons), ''), 40)}".rstrip(
            ": "
        ),
        (),
    )
    return {
        "name": title,
        "description": "What a person wanted otherwise, kept with the code and tested.",
        "spec": "\n".join(clean(reason, 2000) for reason in reasons),
        "depends_on": [],
        "tasks": tasks,
    }


def _foundation(outline: Outline, package: str) -> dict[str, object]:
    points = Drafted(
        name="Points of a spec",
        category=POINTS,
        description="A point of a spec is a number and a text. Points are numbered from one and"
        " found by words in any case of letters.",
        steps=("Define Point", "Number texts", "Find by words"),
        test="test_points",
        files=(
            f"{package}/__init__.py",
            f"{package}/points.py",
            "tests/__init__.py",
            "tests/test_points.py",
        ),
        complexity=2,
    )
    headings = tuple(section.title for section in outline.sections[:MAX_SECTIONS])
    more = len(outline.sections) - len(headings)
    note = (f"{more} more sections of the spec are not taken up",) if more > 0 else ()
    overview = Drafted(
        name=clean(f"Overview of {outline.title}", 110),
        category=OVERVIEW,
        description=f"`python3 -m {package}` lists every section with its points. The README"
        " says what this package is, and what it is not.",
        steps=(*headings, *note) or (outline.title,),
        test="test_overview",
        files=(
            f"{package}/overview.py",
            f"{package}/__main__.py",
            "README.md",
            "tests/test_overview.py",
        ),
        depends_on=(points.name,),
    )
    feature = {
        "name": "Outline",
        "description": f"The core of {package}, and its README.",
        "spec": outline.title,
        "depends_on": [],
        "tasks": [points.as_json(), overview.as_json()],
    }
    return {"name": "Foundation", "description": "What sections stand on.", "features": [feature]}


def _sections(outline: Outline, package: str, taken: tuple[Section, ...]) -> dict[str, object]:
    features: list[dict[str, object]] = []
    modules = {"points", "overview"}
    names: set[str] = {"Outline"}
    for number, section in enumerate(taken, start=1):
        module = identifier(section.title, modules, fallback=f"section_{number}")
        modules.add(module)
        name = _unique(section.title, names)
        names.add(name)
        left = f" {section.left_out} more are left out." if section.left_out else ""
        data = Drafted(
            name=clean(f"Points of {name}", 110),
            category=SECTION,
            description=f"The {len(section.points)} points of this section as data in"
            f" `{package}.{module}`.{left}",
            steps=section.points,
            test=f"test_{module}",
            files=(f"{package}/{module}.py", f"tests/test_{module}.py"),
        )
        page = Drafted(
            name=clean(f"Page of {name}", 110),
            category=PAGE,
            description=f"A page of the points in `{package}.{module}`, held to them by a test.",
            steps=section.points,
            test=f"test_{module}_page",
            files=(f"docs/{module}.md", f"tests/test_{module}_page.py"),
            depends_on=(data.name,),
        )
        features.append(
            {
                "name": name,
                "description": f"A section of the spec of {outline.title}.",
                "spec": "\n".join(section.points),
                "depends_on": ["Outline"],
                "tasks": [data.as_json(), page.as_json()],
            }
        )
    return {"name": "Sections", "description": "The sections of the spec.", "features": features}


def _unique(name: str, taken: Collection[str]) -> str:
    found, count = name, 2
    while found in taken:
        found, count = f"{name} {count}", count + 1
    return found
