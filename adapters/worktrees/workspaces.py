"""The `Workspaces` port on the git program."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.worktrees import linking
from adapters.worktrees.checkout import Checkout
from adapters.worktrees.contents import EXCLUDED, Findings, look_through, readable_path
from adapters.worktrees.git import Answer, Git, Place, storage
from adapters.worktrees.reading import (
    LOG_FORMAT,
    read_conflict,
    read_log,
    read_numstat,
    read_raw,
)
from core.errors import MainMoved, NestedRepository, WorkspaceError
from core.ports.host import Commit, Conflict, DiffStat, HistoryEntry, Merged, Staged, Worktree

MAIN = "refs/heads/main"
_LANDING = "_landing"
_AS_THEY_ARE = "--ignore-submodules=none"
_NOTHING = "0" * 40
_CUT = "\n[… cut here]\n"


@dataclass(frozen=True)
class _Written:
    """What an index holds."""

    tree: str
    stamp: bytes | None  # of the files it was made from; None: the next change might not show

    @classmethod
    def of(cls, tree: str, findings: Findings) -> "_Written":
        return cls(tree, findings.stamp if findings.settled else None)


class Worktrees:
    """Repositories in `home/projects`, worktrees in `home/worktrees`.

    One instance holds the home: every lock it finds in a repository at its first call there
    is a dead program's and is removed. `process_id` is the AUTOCODER_PROCESS of its gits.
    """

    def __init__(self, home: Path, process_id: str) -> None:
        self._home = home.absolute()
        self._git = Git(process_id)
        self._checkout = Checkout(self._git)
        self._prepared: set[str] = set()
        self._written: dict[Path, _Written] = {}  # by git folder
        self._committed: dict[Path, tuple[str, str]] = {}  # the last commit of each, and its tree
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def project_path(self, slug: str) -> Path:
        return self._home / "projects" / linking.checked_name(slug)

    async def create(self, slug: str, files: Mapping[str, bytes], message: str) -> str:
        project = self.project_path(slug)
        async with self._locks[slug]:
            if linking.read_ref(project / ".git", MAIN) is None:
                with storage():
                    (project / ".git").mkdir(parents=True, exist_ok=True)
                    linking.remove_locks(project / ".git")
                await self._git.run(
                    Place(project / ".git", project),
                    *("init", "--quiet", "--template=", "--initial-branch=main"),
                )
            common = self._repository(slug)
            main = linking.read_ref(common, MAIN)
            if main is None:
                tree = await self._tree_with(common, None, files)
                main = await self._commit_tree(common, tree, (), message)
                await self._move(common, MAIN, main, _NOTHING)
            await self._checkout.bring_to(project, main)
        return main

    async def head(self, slug: str, ref: str = MAIN) -> str | None:
        if not (self.project_path(slug) / ".git" / "HEAD").exists():
            return None
        common = self._repository(slug)
        found = linking.read_ref(common, ref) if ref.startswith("refs/") else None
        if found is not None:
            return found
        name = f"{ref}^{{commit}}"
        answer = await self._git.run(
            Place(common), *("rev-parse", "--verify", "--quiet", "--end-of-options", name),
            allow=(0, 1, 128),
        )  # fmt: skip
        return answer.line.removeprefix("--end-of-options").strip() or None

    async def open(self, slug: str, feature: str, start: str) -> Worktree:
        common = self._repository(slug)
        name = linking.checked_name(feature)
        branch = f"feature/{name}"
        worktree = self._worktree(slug, name, branch)
        ref = f"refs/heads/{branch}"
        async with self._locks[slug]:
            if linking.read_ref(common, ref) is None:
                await self._move(common, ref, start, _NOTHING)
            half_made = not (worktree.path.is_dir() and (worktree.git_dir / "index").exists())
            with storage():
                linking.attach(worktree, f"ref: {ref}")
            if half_made:  # git writes the index last
                await self._reset(worktree, ref, ignored_too=True)
        return worktree

    async def open_clean(self, slug: str, commit: str) -> Worktree:
        self._repository(slug)
        worktree = self._worktree(slug, _LANDING, None)
        async with self._locks[slug]:
            with storage():
                linking.attach(worktree, commit)
            await self._reset(worktree, commit, ignored_too=True)
        return worktree

    async def open_apart(self, slug: str, name: str, commit: str) -> Worktree:
        self._repository(slug)
        # No slug begins with an underscore, so no feature has this folder.
        worktree = self._worktree(slug, f"_{linking.checked_name(name)}", None)
        async with self._locks[slug]:
            if not (worktree.path.is_dir() and (worktree.git_dir / "index").exists()):
                with storage():
                    linking.attach(worktree, commit)
                await self._checkout.reset(worktree, commit, ignored_too=True)
        return worktree

    async def stage(self, worktree: Worktree) -> Staged:
        parent = await self._head_of(worktree)
        changed, tree = await self._stage(worktree, parent)
        return Staged(tree, parent, changed)

    async def commit(
        self,
        worktree: Worktree,
        message: str,
        *,
        ref: str,
        merging: str | None = None,
        staged: Staged | None = None,
    ) -> Commit:
        made = staged or await self.stage(worktree)
        parents = (made.parent, merging) if merging else (made.parent,)
        commit = await self._commit_tree(worktree.common_dir, made.tree, parents, message)
        await self._git.run(self._place(worktree), "update-ref", "--no-deref", ref, commit)
        self._committed[worktree.git_dir] = commit, made.tree
        return Commit(commit, made.tree, made.parent, made.changed)

    async def stamp(self, slug: str, parent: str, message: str) -> str:
        common = self._repository(slug)
        tree = await self._git.run(Place(common), "rev-parse", "--verify", f"{parent}^{{tree}}")
        return await self._commit_tree(common, tree.line, (parent,), message)

    async def tree(self, worktree: Worktree) -> str:
        _, tree = await self._stage(worktree, None)
        return tree

    async def advance(self, worktree: Worktree, commit: str, *, expected: str) -> None:
        if worktree.branch is None:
            raise WorkspaceError(f"{worktree.path.name} is on no branch that could move")
        ref = f"refs/heads/{worktree.branch}"
        try:
            with storage():
                linking.move_ref(worktree.common_dir, ref, commit, expected=expected)
        except FileExistsError:  # a git holds the lock: its own program knows how to wait
            await self._move(worktree.common_dir, ref, commit, expected)

    async def restore(self, worktree: Worktree, commit: str, *, tree: str | None = None) -> None:
        self._prepare(worktree.common_dir)
        ref = f"refs/heads/{worktree.branch}" if worktree.branch else None
        if ref and linking.read_ref(worktree.common_dir, ref) != commit:
            await self._git.run(Place(worktree.common_dir), "update-ref", ref, commit)
        with storage():
            linking.attach(worktree, f"ref: {ref}" if ref else commit)
            linking.forget_unfinished(worktree.git_dir)
        if tree is not None or not await self._holds(worktree, commit):
            await self._reset(worktree, tree or commit, ignored_too=False)

    async def _holds(self, worktree: Worktree, commit: str) -> bool:
        """Nothing was touched since this commit was made of the files that are there."""
        written = self._written.get(worktree.git_dir)
        if written is None or self._committed.get(worktree.git_dir) != (commit, written.tree):
            return False
        findings = await asyncio.to_thread(look_through, worktree.path)
        return findings.stamp == written.stamp and not findings.hollow

    async def merge(self, slug: str, ours: str, theirs: str, message: str) -> Merged | Conflict:
        common = self._repository(slug)
        answer = await self._git.run(
            Place(common),
            *("merge-tree", "--write-tree", "-z", "--name-only", "--messages", ours, theirs),
            allow=(0, 1),
        )
        if answer.code == 1:
            if not answer.output:  # a commit that is not there, too, ends with 1
                raise WorkspaceError(f"git merge-tree: {answer.words}")
            return read_conflict(answer.output)
        tree = answer.output.split(b"\0")[0].decode()
        return Merged(await self._commit_tree(common, tree, (ours, theirs), message))

    async def land(self, slug: str, commit: str, *, expected: str) -> None:
        common = self._repository(slug)
        if linking.read_ref(common, MAIN) != commit:
            await self._move_main(common, commit, expected)
        await self.sync(slug)

    async def sync(self, slug: str) -> None:
        common = self._repository(slug)
        async with self._locks[slug]:
            main = linking.read_ref(common, MAIN)
            if main is not None:
                await self._checkout.bring_to(self.project_path(slug), main)

    async def commit_files(
        self, slug: str, files: Mapping[str, bytes], message: str, *, expected: str
    ) -> str:
        """Moves `main` from `expected` to the new commit and syncs; MainMoved if it is elsewhere.

        Called again after a crash it returns the commit it had made.
        """
        common = self._repository(slug)
        tree = await self._tree_with(common, expected, files)
        main = linking.read_ref(common, MAIN)
        if (
            main is not None
            and main != expected
            and await self._is_child(common, main, expected, tree)
        ):
            await self.sync(slug)
            return main
        commit = await self._commit_tree(common, tree, (expected,), message)
        await self._move_main(common, commit, expected)
        await self.sync(slug)
        return commit

    async def history(
        self, slug: str, since: str, until: str, *, first_parent: bool = False
    ) -> tuple[HistoryEntry, ...]:
        """An empty `since` means from the beginning."""
        revisions = (f"^{since}", until) if since else (until,)
        answer = await self._git.run(
            Place(self._repository(slug)),
            *("log", "-z", "--reverse", "--topo-order", "--no-color", "--no-show-signature"),
            *(LOG_FORMAT, *(["--first-parent"] if first_parent else []), *revisions, "--"),
        )
        return read_log(answer.output)

    async def diff_stat(self, slug: str, since: str, until: str) -> DiffStat:
        answer = await self._git.run(
            Place(self._repository(slug)),
            *("diff-tree", "-r", "--numstat", "-z", "--no-renames", since, until, "--"),
        )
        return read_numstat(answer.output)

    async def changed(self, slug: str, since: str, until: str) -> tuple[str, ...]:
        answer = await self._git.run(
            Place(self._repository(slug)),
            *("diff-tree", "-r", "--name-only", "-z", "--no-renames", since, until, "--"),
        )
        return tuple(readable_path(path) for path in answer.output.split(b"\0") if path)

    async def diff(self, slug: str, since: str, until: str, *, limit: int = 200_000) -> str:
        answer = await self._git.run(
            Place(self._repository(slug)),
            *("diff-tree", "-r", "-p", "-M", "--no-color", "--no-ext-diff", "--no-textconv"),
            *(since, until, "--"),
            limit=4 * limit,
        )
        text = answer.output.decode("utf-8", "replace")
        if answer.cut or len(text) > limit:
            return text[: max(0, limit - len(_CUT))] + _CUT[:limit]
        return text

    async def show(self, slug: str, commit: str, path: str) -> bytes | None:
        """The file's bytes (a link's target); None if there is no such file or commit."""
        if "\n" in path or "\n" in commit:
            return None  # the batch protocol cannot name it
        answer = await self._git.run(
            Place(self._repository(slug)),
            "cat-file",
            "--batch",
            given=f"{commit}:{path}\n".encode(),
        )
        head, _, rest = answer.output.partition(b"\n")
        words = head.rsplit(b" ", 2)
        if len(words) != 3 or words[1] != b"blob":
            return None
        return rest[: int(words[2])]

    async def drop(self, worktree: Worktree) -> None:
        # The work tree first: without its git folder it would be taken for a half-made one.
        with storage():
            await asyncio.to_thread(linking.remove_tree, worktree.path)
            await asyncio.to_thread(linking.remove_tree, worktree.git_dir)

    def _repository(self, slug: str) -> Path:
        """The project's `.git`, healed at the first call; WorkspaceError if there is none."""
        common = self.project_path(slug) / ".git"
        if not (common / "HEAD").is_file():
            raise WorkspaceError(f"There is no repository for {slug!r}")
        self._prepare(common)
        return common

    def _prepare(self, common: Path) -> None:
        if str(common) in self._prepared:
            return
        with storage():
            linking.remove_locks(common)
            (common / "info").mkdir(exist_ok=True)
            linking.write_if_other(common / "info" / "exclude", "\n".join((*EXCLUDED, "")))
        self._prepared.add(str(common))

    def _worktree(self, slug: str, name: str, branch: str | None) -> Worktree:
        common = self.project_path(slug) / ".git"
        path = self._home / "worktrees" / slug / name
        return Worktree(path, common / "worktrees" / name, common, branch)

    def _place(self, worktree: Worktree) -> Place:
        return Place(worktree.git_dir, worktree.path)

    async def _head_of(self, worktree: Worktree) -> str:
        with storage():
            head = (worktree.git_dir / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        found = linking.read_ref(worktree.common_dir, head.removeprefix("ref: "))
        if found is None:
            raise WorkspaceError(f"the branch of {worktree.path.name} is gone")
        return found

    async def _reset(self, worktree: Worktree, treeish: str, *, ignored_too: bool) -> None:
        self._written.pop(worktree.git_dir, None)
        await self._checkout.reset(worktree, treeish, ignored_too=ignored_too)

    async def _stage(self, worktree: Worktree, parent: str | None) -> tuple[tuple[str, ...], str]:
        """Put all files into the index: the paths changed against `parent`, and the tree."""
        self._prepare(worktree.common_dir)
        with storage():
            linking.mend_link(worktree)
        place = self._place(worktree)
        findings = await asyncio.to_thread(look_through, worktree.path)
        written = self._written.get(worktree.git_dir)
        if parent is None and written and written.stamp == findings.stamp:
            return (), written.tree  # nothing was touched since: git would find the same
        await self._refuse(place, findings)
        self._written.pop(worktree.git_dir, None)
        added = await self._git.run(place, "add", "--all", *(["--verbose"] if written else []))
        if parent is None:
            tree = written.tree if written else ""
            if written is None or added.output:  # it names what the index had not yet
                tree = (await self._git.run(place, "write-tree")).line
            self._written[worktree.git_dir] = _Written.of(tree, findings)
            return (), tree
        compare = ("diff-index", "--cached", "--raw", "-z", "--no-renames", _AS_THEY_ARE)
        difference, wrote = await asyncio.gather(
            self._git.run(place, *compare, parent, "--"), self._git.run(place, "write-tree")
        )
        changed, links = read_raw(difference.output)
        if links:  # made between our look and git's: never leave it in an index
            await self._git.run(place, "read-tree", "--reset", parent)
            raise _nested(links)
        self._written[worktree.git_dir] = _Written.of(wrote.line, findings)
        return changed, wrote.line

    async def _refuse(self, place: Place, findings: Findings) -> None:
        if findings.blocking:
            names = ", ".join(readable_path(path) for path in findings.blocking)
            raise WorkspaceError(f"{names}: a named pipe stands where git reads a file; remove it")
        suspects = [*findings.nested, *findings.large]
        if not suspects:
            return
        ignored = await self._git.run(
            place, "check-ignore", "-z", "--stdin", "--no-index",
            given=b"".join(b"./" + path + b"\0" for path in suspects), allow=(0, 1),
        )  # fmt: skip
        free = set(suspects) - {path[2:] for path in ignored.output.split(b"\0")}
        nested = [readable_path(path) for path in findings.nested if path in free]
        if nested:
            raise _nested(nested)
        large = [readable_path(path) for path in findings.large if path in free]
        if large:
            raise WorkspaceError(
                f"{', '.join(large)}: too large for a commit; remove it or name it in .gitignore"
            )

    async def _tree_with(self, common: Path, base: str | None, files: Mapping[str, bytes]) -> str:
        """The tree of `base` with `files` in it, over whatever stood in their way."""
        for path in files:
            linking.checked_path(path)
        index = common / f"autocoder-index-{os.getpid()}-{id(files)}"
        place = Place(common, index=index)
        try:
            blobs = [await self._blob(common, content) for content in files.values()]
            await self._git.run(place, "read-tree", base or "--empty")
            entries = "".join(
                f"100644 {blob}\t{path}\0" for path, blob in zip(files, blobs, strict=True)
            )
            await self._git.run(
                place, "update-index", "-z", "--add", "--replace", "--index-info",
                given=entries.encode(),
            )  # fmt: skip
            return (await self._git.run(place, "write-tree")).line
        finally:
            index.unlink(missing_ok=True)

    async def _blob(self, common: Path, content: bytes) -> str:
        answer = await self._git.run(
            Place(common), "hash-object", "-w", "--stdin", "--no-filters", given=content
        )
        return answer.line

    async def _commit_tree(
        self, common: Path, tree: str, parents: tuple[str, ...], message: str
    ) -> str:
        args = [word for parent in parents for word in ("-p", parent)]
        answer = await self._git.run(
            Place(common), "commit-tree", tree, *args, "-F", "-", given=(message + "\n").encode()
        )
        return answer.line

    async def _move(self, common: Path, ref: str, new: str, old: str) -> Answer:
        return await self._git.run(Place(common), "update-ref", "--no-deref", ref, new, old)

    async def _move_main(self, common: Path, commit: str, expected: str) -> None:
        try:
            await self._move(common, MAIN, commit, expected)
        except WorkspaceError as error:
            if linking.read_ref(common, MAIN) == expected:
                raise
            raise MainMoved from error

    async def _is_child(self, common: Path, commit: str, parent: str, tree: str) -> bool:
        answer = await self._git.run(Place(common), "show", "-s", "--format=%P %T", commit, "--")
        return answer.line == f"{parent} {tree}"


def _nested(paths: list[str] | tuple[str, ...]) -> NestedRepository:
    return NestedRepository(
        f"{', '.join(paths)}: a git repository of its own inside the work tree",
        hint="Remove its .git folder, or name the folder in .gitignore.",
    )
