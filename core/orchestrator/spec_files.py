"""Where interviewers write, and what becomes of their files: on `main`, or sent back."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from core.domain import spec
from core.domain.lifecycle import InterviewKind
from core.errors import AutocoderError, BadSpec, MainMoved, StorageFailed
from core.operations import interviews, specs
from core.operations.additions import AdditionRequest
from core.operations.interviews import InterviewSession
from core.orchestrator.parts import Parts
from core.ports.host import Worktree

APP_SPEC = ".autocoder/prompts/app_spec.txt"
INITIALIZER = ".autocoder/prompts/initializer_prompt.md"
SPEC_NOW = ".autocoder/prompts/app_spec.main.txt"  # where both versions are to be brought together
_DIFF_LIMIT = 60_000


@dataclass(frozen=True)
class InterviewWorkspace:
    """An interviewer's working folder."""

    work: Path
    git_dir: Path | None


async def open_workspace(parts: Parts, session: InterviewSession) -> InterviewWorkspace:
    """A folder of its own; for an addition with the project's files as they are on `main`."""
    if session.kind is InterviewKind.PROJECT:
        workspace = InterviewWorkspace(await parts.interview_folders.open(session.slug), None)
    else:
        base = session.base_commit
        if base is None:
            base = await parts.main(session.slug)
            await parts.store.run(interviews.based, session.interview_id, base)
        worktree = await _worktree(parts, session.slug, session.number, base)
        workspace = InterviewWorkspace(worktree.path, worktree.common_dir)
    for item in session.material:
        await parts.interview_folders.copy_in(workspace.work, f"material/{item.name}", item.file)
    return workspace


async def spec_change(parts: Parts, slug: str, requested: AdditionRequest) -> str:
    """What an interview changed in the spec, as a diff; empty where there was none."""
    if requested.base_commit is None or requested.spec_commit is None:
        return ""
    before = await _text(parts, slug, f"{requested.spec_commit}^")
    after = await _text(parts, slug, requested.spec_commit)
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return "\n".join(lines)[:_DIFF_LIMIT]


class SpecWriter:
    """Carries out WriteSpec. Every step may be done again after a crash."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def write(self, interview_id: int) -> None:
        """Look at what an interviewer left; commit it, or say what is wrong with it."""
        try:
            await self._write(interview_id)
        except StorageFailed:
            raise
        except AutocoderError as error:
            await self._parts.store.run(
                specs.block, interview_id, str(error), now=self._parts.clock()
            )

    async def _write(self, interview_id: int) -> None:
        parts = self._parts
        draft = await parts.store.read(specs.draft, interview_id)
        if draft is None:
            return
        if draft.kind is InterviewKind.PROJECT:
            folder = await parts.interview_folders.open(draft.slug)
        else:
            base = draft.base_commit or await parts.main(draft.slug)
            folder = (await _worktree(parts, draft.slug, draft.number, base)).path
        files: dict[str, bytes] = {}
        problems = []
        for path in (APP_SPEC, INITIALIZER):
            try:
                files[path] = await parts.interview_folders.read(
                    folder, path, limit=spec.SPEC_LIMIT
                )
                spec.read_spec(files[path])
            except BadSpec as error:
                problems.append(f"{path}: {error}")
        if problems:
            await self._send_back(interview_id, problems)
        elif draft.kind is InterviewKind.PROJECT:
            commit = await parts.workspaces.create(
                draft.slug, files, f"Begin {draft.name} with its spec\n"
            )
            await self._written(interview_id, draft.slug, commit, files)
        else:
            await self._change(interview_id, draft, folder, files)

    async def _change(
        self, interview_id: int, draft: specs.Draft, folder: Path, files: dict[str, bytes]
    ) -> None:
        """Put a changed spec on `main`, unless the one there changed too."""
        parts = self._parts
        while True:
            main = await parts.main(draft.slug)
            now = {path: await parts.workspaces.show(draft.slug, main, path) for path in files}
            before = await parts.workspaces.show(draft.slug, draft.base_commit or main, APP_SPEC)
            if now == files and files[APP_SPEC] != before:
                break  # an earlier life put it there and did not record it
            if files[APP_SPEC] == before:
                problem = f"{APP_SPEC} says nothing new: it is as it was"
                await self._send_back(interview_id, [problem])
                return
            if now[APP_SPEC] != before and now[APP_SPEC] != files[APP_SPEC]:
                await parts.interview_folders.write(folder, SPEC_NOW, now[APP_SPEC] or b"")
                await parts.store.run(specs.merge_wanted, interview_id, main, SPEC_NOW)
                return
            subject = f"Change the spec of {draft.name}\n"
            try:
                main = await parts.workspaces.commit_files(
                    draft.slug, files, subject, expected=main
                )
                break
            except MainMoved:
                continue  # something landed meanwhile
        await self._written(interview_id, draft.slug, main, files, before)

    async def _written(
        self,
        interview_id: int,
        slug: str,
        commit: str,
        files: dict[str, bytes],
        before: bytes | None = None,
    ) -> None:
        parts = self._parts
        await parts.workspaces.sync(slug)
        text = files[APP_SPEC].decode()
        await parts.store.run(
            specs.spec_written, interview_id, commit, spec.digest(text),
            excerpt=parts.redact.hide(_news(text, (before or b"").decode("utf-8", "replace"))), now=parts.clock(),
        )  # fmt: skip

    async def _send_back(self, interview_id: int, problems: list[str]) -> None:
        await self._parts.store.run(
            specs.send_back, interview_id, problems, now=self._parts.clock()
        )


def _news(text: str, before: str) -> str:
    """What a changed spec says that it did not say before; all of a new one."""
    said = set(before.splitlines())
    fresh = [line for line in text.splitlines() if not line.strip() or line not in said]
    return "\n".join(fresh).strip() if before else text.strip()


async def _worktree(parts: Parts, slug: str, number: int, base: str) -> Worktree:
    return await parts.workspaces.open_apart(slug, f"interview-{number}", base)


async def _text(parts: Parts, slug: str, commit: str) -> str:
    content = await parts.workspaces.show(slug, commit, APP_SPEC)
    return (content or b"").decode("utf-8", "replace")
