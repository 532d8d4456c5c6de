"""What files there are, how long, and what may not stand in them."""

import os
import re
from pathlib import Path

from tests.house.sources import PACKAGES, ROOT, modules, name, tracked

LONGEST = 600
VAGUE = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}


def test_no_module_is_too_long_to_read() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in modules()}
    assert lengths
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name(path) for path in modules() if {path.stem, path.parent.name} & VAGUE] == []


def test_every_room_says_what_it_is() -> None:
    silent = [
        name(path)
        for path in modules()
        if (text := path.read_text().strip()) and not text.startswith(('"""', 'r"""', "#!"))
    ]
    assert silent == []


def test_every_folder_of_code_is_a_package() -> None:
    folders = {parent for path in modules() for parent in path.relative_to(ROOT).parents}
    bare = [
        folder.as_posix()
        for folder in folders
        if folder.parts and not (ROOT / folder / "__init__.py").exists()
    ]
    assert bare == []
    assert {folder.parts[0] for folder in folders if folder.parts} == set(PACKAGES)


def _texts() -> list[tuple[Path, str]]:
    texts = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content:
            texts.append((path, content.decode("utf-8")))
    return texts


def test_no_file_names_the_machine_it_was_written_on() -> None:
    """Its folder, its user's home, its package index."""
    words = {str(Path.home()) + "/."}
    if len(ROOT.parts) > 2:
        words.add(str(ROOT))
    for variable, value in os.environ.items():
        if variable.startswith(("PIP_", "UV_")) and re.search(r"INDEX|LINKS|HOST", variable):
            words |= {word for word in value.split() if len(word) > 3}
    found = [(name(path), word) for path, text in _texts() for word in words if word in text]
    assert found == []


def test_no_file_holds_a_credential() -> None:
    token = re.compile(r"sk-ant-(?:api|oat)\d\d-[\w-]{20,}|xox[abp]-\d{6,}-\w+|ghp_\w{30,}")
    assert [name(path) for path, text in _texts() if token.search(text)] == []


def test_scripts_may_be_run() -> None:
    scripts = [path for path in tracked() if path.read_bytes()[:2] == b"#!"]
    assert scripts
    assert [name(path) for path in scripts if not os.access(path, os.X_OK)] == []
