"""`Worktrees` keeps the `Workspaces` port's promise, with real git and hostile contents."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.worktrees.contents import Findings
from adapters.worktrees.git import WANTED_GIT, git_version
from adapters.worktrees.workspaces import Worktrees
from core.errors import MainMoved, NestedRepository, WorkspaceError
from core.ports.host import Conflict, Merged, Workspaces, Worktree

FIRST = {".autocoder/prompts/app_spec.txt": b"spec\r\n", "a.txt": b"one\n"}
TRAILERS = "Add b\n\nAutocoder-Task: 3\nAutocoder-Feature: core"
MARK = f"killed{os.getpid()}-1"
REF = "refs/autocoder/attempts/3/1"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def spaces(home: Path) -> Worktrees:
    return Worktrees(home, "test-1")


@pytest.fixture
async def first(spaces: Worktrees) -> str:
    return await spaces.create("shop", FIRST, "The spec")


@pytest.fixture
async def tree(spaces: Worktrees, first: str) -> Worktree:
    return await spaces.open("shop", "core", first)


def git(place: Path, *args: str) -> str:
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}
    done = subprocess.run(["git", "-C", place, *args], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def passing(spaces: Worktrees, tree: Worktree, name: str, content: str) -> str:
    """A task done: a file committed and the branch moved."""
    (tree.path / name).write_text(content)
    commit = await spaces.commit(tree, f"Add {name}", ref=REF)
    await spaces.advance(tree, commit.id, expected=commit.parent)
    return commit.id


def files(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and ".git" not in file.relative_to(path).parts
    }


def test_is_the_port(spaces: Worktrees) -> None:
    port: Workspaces = spaces
    assert port.project_path("shop").parts[-2:] == ("projects", "shop")


def test_git_here_is_new_enough() -> None:
    version = git_version()
    assert version is not None
    assert version >= WANTED_GIT


async def test_create_makes_one_commit_and_leaves_an_existing_one(
    spaces: Worktrees, first: str
) -> None:
    project = spaces.project_path("shop")
    assert files(project) == FIRST
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-parse", "main") == first
    assert await spaces.create("shop", {"other": b""}, "Again") == first
    assert await spaces.head("shop") == first
    assert await spaces.head("shop", "refs/heads/none") is None
    assert await spaces.head("none") is None


async def test_commit_is_on_the_ref_and_the_branch_stays(
    spaces: Worktrees, tree: Worktree, first: str
) -> None:
    (tree.path / "b.txt").write_text("two\n")
    (tree.path / "a.txt").unlink()
    (tree.path / "__pycache__").mkdir()
    (tree.path / "__pycache__" / "b.pyc").write_bytes(b"\0")
    (tree.path / "b.txt.tmp.4.82fd27ab0bd1").write_text("half")  # of a CLI that was killed
    commit = await spaces.commit(tree, TRAILERS, ref=REF)
    assert commit.parent == first
    assert sorted(commit.changed) == ["a.txt", "b.txt"]
    assert commit.tree == await spaces.tree(tree)
    assert await spaces.head("shop", REF) == commit.id
    assert await spaces.head("shop", "refs/heads/feature/core") == first
    await spaces.advance(tree, commit.id, expected=first)
    await spaces.advance(tree, commit.id, expected=first)
    assert await spaces.head("shop", "refs/heads/feature/core") == commit.id
    (entry,) = await spaces.history("shop", first, commit.id)
    assert (entry.id, entry.task, entry.feature, entry.subject) == (commit.id, 3, "core", "Add b")
    assert entry.parents == (first,)


async def test_a_tree_that_moved_is_seen(spaces: Worktrees, tree: Worktree) -> None:
    (tree.path / "b.txt").write_text("two\n")
    commit = await spaces.commit(tree, "b", ref=REF)
    times = (tree.path / "b.txt").stat()
    (tree.path / "b.txt").write_text("too\n")
    os.utime(tree.path / "b.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert await spaces.tree(tree) != commit.tree


async def test_an_empty_commit_changes_nothing(spaces: Worktrees, tree: Worktree) -> None:
    commit = await spaces.commit(tree, "nothing", ref=REF)
    assert commit.changed == ()
    assert commit.id != commit.parent


async def test_commit_of_a_merge_has_two_parents(
    spaces: Worktrees, tree: Worktree, first: str
) -> None:
    other = await spaces.commit_files("shop", {"m": b"m"}, "m", expected=first)
    commit = await spaces.commit(tree, "merge", ref=REF, merging=other)
    (*_, entry) = await spaces.history("shop", first, commit.id)
    assert entry.parents == (first, other)


async def test_advance_refuses_another_start(spaces: Worktrees, tree: Worktree) -> None:
    done = await passing(spaces, tree, "b.txt", "two\n")
    commit = await spaces.commit(tree, "more", ref=REF)
    with pytest.raises(WorkspaceError):
        await spaces.advance(tree, commit.id, expected="1" * 40)
    assert await spaces.head("shop", "refs/heads/feature/core") == done


async def test_restore_brings_everything_back(
    spaces: Worktrees, tree: Worktree, first: str
) -> None:
    done = await passing(spaces, tree, "b.txt", "two\n")
    before = files(tree.path)
    (tree.path / "a.txt").write_text("changed")
    (tree.path / "b.txt").unlink()
    (tree.path / "b.txt").mkdir()
    (tree.path / "b.txt" / "deep").write_text("in the way")
    (tree.path / "new").write_text("new")
    (tree.path / ".venv").mkdir()
    (tree.path / ".venv" / "kept").write_text("ignored")
    (tree.git_dir / "MERGE_HEAD").write_text(first)
    subprocess.run(["git", "init", "-q", tree.path / "nested"], check=True)
    attempt_tree = git(tree.path, "rev-parse", f"{first}^{{tree}}")
    await spaces.restore(tree, done)
    assert files(tree.path) == {**before, ".venv/kept": b"ignored"}
    assert not (tree.path / "nested").exists()
    assert git(tree.path, "status", "--porcelain") == ""
    await spaces.restore(tree, done, tree=attempt_tree)
    assert not (tree.path / "b.txt").exists()
    assert await spaces.head("shop", "refs/heads/feature/core") == done
    await spaces.restore(tree, first)
    assert await spaces.head("shop", "refs/heads/feature/core") == first


async def test_the_landing_worktree_is_clean(spaces: Worktrees, tree: Worktree, first: str) -> None:
    landing = await spaces.open_clean("shop", first)
    (landing.path / ".venv").mkdir()
    (landing.path / ".venv" / "x").write_text("x")
    (landing.path / ".venv").chmod(0)
    (landing.path / "x").write_text("x")
    done = await passing(spaces, tree, "b.txt", "two\n")
    landing = await spaces.open_clean("shop", done)
    assert files(landing.path) == {**FIRST, "b.txt": b"two\n"}
    assert landing.branch is None
    assert not (landing.path / ".venv").exists()


async def test_merge_land_and_sync(spaces: Worktrees, tree: Worktree, first: str) -> None:
    done = await passing(spaces, tree, "b.txt", "two\n")
    merged = await spaces.merge("shop", first, done, "Land core")
    assert isinstance(merged, Merged)
    await spaces.land("shop", merged.commit, expected=first)
    await spaces.land("shop", merged.commit, expected=first)
    project = spaces.project_path("shop")
    assert (project / "b.txt").read_text() == "two\n"
    assert git(project, "status", "--porcelain") == ""
    (entry,) = await spaces.history("shop", first, "refs/heads/main", first_parent=True)
    assert entry.parents == (first, done)
    with pytest.raises(MainMoved):
        await spaces.land("shop", done, expected=first)


async def test_a_conflict_names_its_paths(spaces: Worktrees, tree: Worktree, first: str) -> None:
    done = await passing(spaces, tree, "a.txt", "theirs\n")
    ours = await spaces.commit_files("shop", {"a.txt": b"ours\n"}, "ours", expected=first)
    conflict = await spaces.merge("shop", ours, done, "Land core")
    assert isinstance(conflict, Conflict)
    assert conflict.paths == ("a.txt",)
    assert "CONFLICT" in conflict.text
    shown = await spaces.show("shop", conflict.tree, "a.txt")
    assert shown is not None
    assert b"<<<<<<<" in shown
    with pytest.raises(WorkspaceError):
        await spaces.merge("shop", ours, "f" * 40, "no such commit")


async def test_sync_keeps_what_a_person_changed(
    spaces: Worktrees, tree: Worktree, first: str, caplog: pytest.LogCaptureFixture
) -> None:
    project = spaces.project_path("shop")
    (project / "notes").write_text("mine")
    (project / "a.txt").write_text("mine too")
    second = await spaces.commit_files("shop", {"b": b"b"}, "b", expected=first)
    assert (project / "b").read_bytes() == b"b"
    assert (project / "notes").read_text() == "mine"
    assert (project / "a.txt").read_text() == "mine too"
    third = await spaces.commit_files("shop", {"a.txt": b"new"}, "a", expected=second)
    assert await spaces.head("shop") == third
    assert (project / "a.txt").read_text() == "mine too"
    assert "stays behind" in caplog.text
    (project / "a.txt").write_text("one\n")
    await spaces.sync("shop")
    assert (project / "a.txt").read_text() == "new"


async def test_sync_goes_on_where_a_kill_left_it(spaces: Worktrees, first: str) -> None:
    project = spaces.project_path("shop")
    old_index = (project / ".git" / "index").read_bytes()
    second = await spaces.commit_files("shop", {"a.txt": b"2", "n": b"n"}, "2", expected=first)
    (project / ".git" / "index").write_bytes(old_index)
    git(project, "update-ref", "refs/autocoder/checkout", first)
    await Worktrees(spaces.project_path("shop").parents[1], "test-2").sync("shop")
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "rev-parse", "refs/autocoder/checkout") == second


async def test_commit_files_never_writes_through_a_link(
    spaces: Worktrees, tree: Worktree, first: str, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    shutil.rmtree(tree.path / ".autocoder")
    (tree.path / ".autocoder").symlink_to(tmp_path / "outside")
    commit = await spaces.commit(tree, "link", ref=REF)
    await spaces.land("shop", commit.id, expected=first)
    report = {".autocoder/report.md": b"done"}
    last = await spaces.commit_files("shop", report, "Report", expected=commit.id)
    assert await spaces.commit_files("shop", report, "Report", expected=commit.id) == last
    assert list((tmp_path / "outside").iterdir()) == []
    assert (spaces.project_path("shop") / ".autocoder" / "report.md").read_bytes() == b"done"
    with pytest.raises(MainMoved):
        await spaces.commit_files("shop", {"x": b""}, "late", expected=first)
    with pytest.raises(WorkspaceError):
        await spaces.commit_files("shop", {"../x": b""}, "out", expected=last)


async def test_reading(spaces: Worktrees, tree: Worktree, first: str) -> None:
    (tree.path / "long").write_text("line\n" * 50_000)
    (tree.path / "binary").write_bytes(bytes(range(256)) * 10)
    (tree.path / "a.txt").unlink()
    commit = await spaces.commit(tree, "long", ref=REF)
    stat = await spaces.diff_stat("shop", first, commit.id)
    assert (stat.files, stat.added, stat.removed) == (3, 50_000, 1)
    assert await spaces.changed("shop", first, commit.id) == ("a.txt", "binary", "long")
    assert len(await spaces.diff("shop", first, commit.id)) <= 200_000
    assert len(await spaces.diff("shop", first, commit.id, limit=500)) == 500
    assert await spaces.show("shop", commit.id, "binary") == bytes(range(256)) * 10
    assert await spaces.show("shop", commit.id, "a.txt") is None
    assert await spaces.show("shop", commit.id, ".autocoder") is None
    assert await spaces.show("shop", "-x", "a.txt") is None
    assert [entry.id for entry in await spaces.history("shop", "", commit.id)] == [first, commit.id]


async def test_drop_keeps_the_branch(spaces: Worktrees, tree: Worktree, first: str) -> None:
    done = await passing(spaces, tree, "b.txt", "two\n")
    (tree.path / "locked").mkdir()
    (tree.path / "locked" / "x").write_text("x")
    (tree.path / "locked").chmod(0)
    await spaces.drop(tree)
    await spaces.drop(tree)
    assert not tree.path.exists()
    with pytest.raises(WorkspaceError, match="No such file"):
        await spaces.commit(tree, "x", ref=REF)
    again = await spaces.open("shop", "core", first)
    assert files(again.path) == {**FIRST, "b.txt": b"two\n"}
    assert await spaces.head("shop", "refs/heads/feature/core") == done


@pytest.mark.parametrize(
    "name", ["../x", "", "-x", "a/b", "a..b", "x.lock", "a\nb", "_landing", "x."]
)
async def test_names_that_cannot_be_used(spaces: Worktrees, first: str, name: str) -> None:
    with pytest.raises(WorkspaceError):
        await spaces.open("shop", name, first)
    with pytest.raises(WorkspaceError):
        spaces.project_path(name)


async def test_features_are_worked_on_at_once(spaces: Worktrees, first: str) -> None:
    async def feature(number: int) -> str:
        tree = await spaces.open("shop", f"f{number}", first)
        (tree.path / f"file{number}").write_text("x")
        ref = f"refs/autocoder/attempts/{number}/1"
        commit = await spaces.commit(tree, "x", ref=ref)
        await spaces.advance(tree, commit.id, expected=first)
        await spaces.restore(tree, commit.id)
        assert commit.changed == (f"file{number}",)
        return commit.id

    assert len(set(await asyncio.gather(*(feature(number) for number in range(8))))) == 8


# What an agent may leave behind


def hostile_repository(path: Path, marker: Path) -> None:
    subprocess.run(["git", "init", "-q", path], check=True)
    hook = path / "evil.sh"
    hook.write_text(f"#!/bin/sh\necho hit >> {marker}\n")
    hook.chmod(0o755)
    for key in ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "core.sshCommand"):
        subprocess.run(["git", "-C", path, "config", key, str(hook)], check=True)
    (path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    (path / "f").write_text("f")
    quiet = ["-c", "core.fsmonitor=false", "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", "-C", path, *quiet, "add", "f"], check=True)
    subprocess.run(["git", "-C", path, *quiet, "commit", "-qm", "x"], check=True)
    marker.unlink(missing_ok=True)
    (path / "f").write_text("g")


async def test_a_nested_repository_is_refused_and_nothing_of_it_runs(
    spaces: Worktrees, tree: Worktree, first: str, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    hostile_repository(tree.path / "lib" / "nested", marker)
    for _ in range(3):
        with pytest.raises(NestedRepository, match="lib/nested"):
            await spaces.commit(tree, "x", ref=REF)
        with pytest.raises(NestedRepository):
            await spaces.tree(tree)
    await spaces.restore(tree, first)
    assert not (tree.path / "lib").exists()
    assert not marker.exists()


async def test_a_nested_repository_is_found_where_no_file_changed(
    spaces: Worktrees, tree: Worktree
) -> None:
    (tree.path / "sub").mkdir()
    (tree.path / "sub" / "f").write_text("f")
    await asyncio.sleep(0.05)  # so that the stamps of the files can be trusted
    commit = await spaces.commit(tree, "x", ref=REF)
    assert await spaces.tree(tree) == commit.tree
    (tree.path / "sub" / ".git").mkdir()
    with pytest.raises(NestedRepository, match="sub"):
        await spaces.tree(tree)


async def test_a_nested_repository_git_file_is_refused(spaces: Worktrees, tree: Worktree) -> None:
    (tree.path / "sub").mkdir()
    (tree.path / "sub" / ".git").write_text(f"gitdir: {tree.common_dir}\n")
    with pytest.raises(NestedRepository):
        await spaces.commit(tree, "x", ref=REF)


async def test_an_ignored_nested_repository_is_no_matter(
    spaces: Worktrees, tree: Worktree, tmp_path: Path
) -> None:
    hostile_repository(tree.path / "build" / "dependency", tmp_path / "marker")
    hostile_repository(tree.path / "node_modules" / "dependency", tmp_path / "marker")
    (tree.path / ".gitignore").write_text("build/\n")
    commit = await spaces.commit(tree, "x", ref=REF)
    assert commit.changed == (".gitignore",)
    (tree.path / ".gitignore").write_text("build/\n!node_modules/\n")
    with pytest.raises(NestedRepository, match="node_modules"):
        await spaces.commit(tree, "x", ref=REF)
    assert not (tmp_path / "marker").exists()


async def test_a_gitlink_that_slips_past_the_look_is_taken_back(
    spaces: Worktrees, tree: Worktree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile_repository(tree.path / "late", tmp_path / "marker")
    with monkeypatch.context() as patch:
        patch.setattr("adapters.worktrees.workspaces.look_through", lambda _: Findings())
        for _ in range(2):
            with pytest.raises(NestedRepository, match="late"):
                await spaces.commit(tree, "x", ref=REF)
    assert not (tmp_path / "marker").exists()
    shutil.rmtree(tree.path / "late")
    assert (await spaces.commit(tree, "x", ref=REF)).changed == ()


async def test_attributes_and_the_repository_run_nothing(
    spaces: Worktrees, tree: Worktree, first: str, tmp_path: Path
) -> None:
    (tree.path / ".gitattributes").write_text(
        "* filter=evil diff=evil merge=evil\n*.u merge=union\n*.t text eol=crlf\n"
    )
    (tree.path / ".gitmodules").write_text('[submodule "x"]\n\tpath = x\n\turl = ext::sh -c id\n')
    (tree.path / "x.t").write_text("x\n")
    commit = await spaces.commit(tree, "x", ref=REF)
    await spaces.diff("shop", first, commit.id)
    merged = await spaces.merge("shop", first, commit.id, "m")
    assert isinstance(merged, Merged)
    landing = await spaces.open_clean("shop", merged.commit)
    assert (landing.path / "x.t").read_bytes() == b"x\r\n"


async def test_odd_names_and_links(
    spaces: Worktrees, tree: Worktree, first: str, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    names = ["new\nline", 'quo"te', "-rf", "--help", "émoji 🎉", " ", "tab\t", ":(top)x", "$(id)"]
    for name in names:
        (tree.path / name).write_text(name)
    (tree.path / "link").symlink_to(secret)
    (tree.path / "folder").symlink_to(tmp_path)
    Path(os.fsdecode(os.fsencode(tree.path) + b"/\xff\xfe")).write_text("raw")
    commit = await spaces.commit(tree, "odd", ref=REF)
    assert set(names) | {"link", "folder", r"\xff\xfe"} == set(commit.changed)
    assert await spaces.show("shop", commit.id, "link") == str(secret).encode()
    landing = await spaces.open_clean("shop", commit.id)
    assert (landing.path / "-rf").read_text() == "-rf"
    await spaces.restore(tree, first)
    assert files(tree.path) == FIRST
    assert secret.read_text() == "secret"


async def test_pipes_sockets_and_devices_do_not_hang(
    spaces: Worktrees, tree: Worktree, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tree.path / "pipe")
    monkeypatch.chdir(tree.path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("listener")
    assert (await spaces.commit(tree, "x", ref=REF)).changed == ()
    (tree.path / "a.txt").unlink()
    os.mkfifo(tree.path / "a.txt")
    (tree.path / "sub").mkdir()
    (tree.path / "sub" / "x").write_text("x")
    os.mkfifo(tree.path / "sub" / ".gitignore")
    os.mkfifo(tree.path / ".gitattributes")
    with pytest.raises(WorkspaceError, match="named pipe"):
        await asyncio.wait_for(spaces.commit(tree, "x", ref=REF), 10)
    await asyncio.wait_for(spaces.restore(tree, first), 10)
    assert files(tree.path) == FIRST


async def test_a_file_too_large_is_refused_in_words(spaces: Worktrees, tree: Worktree) -> None:
    with (tree.path / "huge").open("wb") as file:
        file.truncate(100 << 30)
    with pytest.raises(WorkspaceError, match=r"huge.*\.gitignore"):
        await spaces.commit(tree, "x", ref=REF)
    (tree.path / ".gitignore").write_text("huge\n")
    assert (await spaces.commit(tree, "x", ref=REF)).changed == (".gitignore",)


@pytest.mark.parametrize("kind", ["missing", "other", "folder", "link", "pipe"])
async def test_the_git_file_is_mended(
    spaces: Worktrees, tree: Worktree, first: str, tmp_path: Path, kind: str
) -> None:
    link = tree.path / ".git"
    link.unlink()
    evil = tmp_path / "evil"
    hostile_repository(evil, tmp_path / "marker")
    match kind:
        case "other":
            link.write_text(f"gitdir: {evil}/.git\n")
        case "folder":
            shutil.copytree(evil / ".git", link)
        case "link":
            link.symlink_to(evil / ".git")
        case "pipe":
            os.mkfifo(link)
        case _:
            assert kind == "missing"
    (tree.path / "b").write_text("b")
    commit = await spaces.commit(tree, "x", ref=REF)
    assert commit.parent == first
    assert commit.changed == ("b",)
    await spaces.restore(tree, first)
    assert git(tree.path, "rev-parse", "HEAD") == first
    assert (evil / ".git" / "HEAD").exists()
    assert not (tmp_path / "marker").exists()


async def test_a_broken_index_is_mended(spaces: Worktrees, tree: Worktree, first: str) -> None:
    (tree.git_dir / "index").write_bytes(b"DIRC nonsense")
    (tree.path / "b").write_text("b")
    await spaces.restore(tree, first)
    assert files(tree.path) == FIRST


FULL = """
import asyncio, os, sys
from pathlib import Path
from adapters.worktrees.workspaces import Worktrees
from adapters.worktrees.contents import Findings
from core.errors import StorageFailed

async def main() -> None:
    spaces = Worktrees(Path(sys.argv[1]), "full-1")
    first = await spaces.create("shop", {"a": b"a"}, "first")
    tree = await spaces.open("shop", "core", first)
    (tree.path / "big").write_bytes(os.urandom(2_500_000))
    try:
        await spaces.commit(tree, "x", ref="refs/autocoder/attempts/1/1")
    except StorageFailed as error:
        print("refused:", error)
    (tree.path / "big").unlink()
    (tree.path / "small").write_text("small")
    print((await spaces.commit(tree, "x", ref="refs/autocoder/attempts/1/1")).changed)

asyncio.run(main())
"""


def test_a_full_disk_is_told_and_nothing_is_broken(tmp_path: Path) -> None:
    mount = f'mount -t tmpfs -o size=4m tmpfs {tmp_path} && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, "sh"]
    if subprocess.run([*inside, "true"]).returncode != 0:
        pytest.skip("no mount of our own to be had here")
    done = subprocess.run(
        [*inside, sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith("refused: The disk is full"), done.stderr
    assert lines[1] == "('small',)"


async def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match=r"file.*Not a directory"):
        await Worktrees(tmp_path / "file", "test-1").create("shop", FIRST, "x")


# Kills


async def test_locks_of_a_dead_program_are_removed(home: Path, tree: Worktree, first: str) -> None:
    for lock in (
        tree.git_dir / "index.lock",
        tree.common_dir / "config.lock",
        tree.common_dir / "refs" / "heads" / "main.lock",
        tree.common_dir / "refs" / "heads" / "feature" / "core.lock",
        tree.common_dir / "packed-refs.lock",
    ):
        lock.touch()
    spaces = Worktrees(home, "test-2")
    await spaces.restore(tree, first)
    done = await passing(spaces, tree, "b", "b")
    await spaces.land("shop", done, expected=first)
    assert await spaces.head("shop") == done


async def test_a_lock_of_a_killed_call_is_removed(
    spaces: Worktrees, tree: Worktree, first: str
) -> None:
    lock = tree.git_dir / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 10,) * 2)
    assert (await spaces.commit(tree, "x", ref=REF)).parent == first


KILLED = """
import asyncio, sys
from pathlib import Path
from adapters.worktrees.workspaces import Worktrees

async def main() -> None:
    spaces = Worktrees(Path(sys.argv[1]), sys.argv[2])
    files = {f"f{n}": b"x" * 1000 for n in range(40)}
    head = await spaces.create("shop", files, "first")
    print("go", flush=True)
    for n in range(1000):
        tree = await spaces.open("shop", f"core{n}", head)
        (tree.path / f"n{n}").write_text("n")
        commit = await spaces.commit(tree, "x", ref="refs/autocoder/attempts/1/1")
        await spaces.advance(tree, commit.id, expected=head)
        await spaces.restore(tree, commit.id)
        await spaces.open_clean("shop", commit.id)
        await spaces.land("shop", commit.id, expected=head)
        head = commit.id

asyncio.run(main())
"""


SLOW = """
import asyncio, os, sys
from pathlib import Path
from adapters.worktrees.workspaces import Worktrees

async def main() -> None:
    spaces = Worktrees(Path(sys.argv[1]), sys.argv[2])
    first = await spaces.create("shop", {"a": b"a"}, "first")
    tree = await spaces.open("shop", "core", first)
    (tree.path / "big").write_bytes(os.urandom(100 << 20))
    print("go", flush=True)
    await spaces.commit(tree, "x", ref="refs/autocoder/attempts/1/1")

asyncio.run(main())
"""


async def test_a_long_git_dies_with_the_program(home: Path) -> None:
    program = subprocess.Popen([sys.executable, "-c", SLOW, home, MARK], stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    deadline = time.monotonic() + 5
    while not marked() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    assert len(marked()) == 1
    program.kill()
    program.wait()
    program.stdout.close()
    time.sleep(0.1)
    assert marked() == []
    spaces = Worktrees(home, "test-2")
    first = await spaces.head("shop")
    assert first is not None
    tree = await spaces.open("shop", "core", first)
    await spaces.restore(tree, first)
    assert files(tree.path) == {"a": b"a"}


def marked() -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"={MARK}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    "moment", [pytest.param(n, marks=[] if n in (1, 3, 7) else pytest.mark.slow) for n in range(12)]
)
async def test_every_call_may_be_repeated_after_a_kill(home: Path, moment: int) -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", KILLED, home, MARK], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert program.stdout is not None
    if moment > 2:
        program.stdout.readline()
    time.sleep(0.01 + 0.037 * moment if moment > 2 else 0.25 + 0.005 * moment)
    program.send_signal(signal.SIGKILL)
    program.wait()
    program.stdout.close()
    time.sleep(0.3)
    assert marked() == []

    spaces = Worktrees(home, "test-2")
    await spaces.create("shop", {f"f{n}": b"x" * 1000 for n in range(40)}, "first")
    head = await spaces.head("shop")
    assert head is not None
    done = len(await spaces.history("shop", "", head)) - 1
    for number in range(done, done + 2):
        tree = await spaces.open("shop", f"core{number}", head)
        now = await spaces.head("shop", f"refs/heads/feature/core{number}")
        assert now is not None
        await spaces.restore(tree, now)
        (tree.path / f"n{number}").write_text("n")
        commit = await spaces.commit(tree, "x", ref="refs/autocoder/attempts/1/1")
        await spaces.advance(tree, commit.id, expected=now)
        landing = await spaces.open_clean("shop", commit.id)
        assert git(landing.path, "status", "--porcelain", "--ignored") == ""
        await spaces.land("shop", commit.id, expected=head)
        head = commit.id
    project = spaces.project_path("shop")
    assert git(project, "status", "--porcelain") == ""
    assert git(project, "fsck", "--no-dangling") == ""
    assert (project / f"n{done + 1}").exists()
