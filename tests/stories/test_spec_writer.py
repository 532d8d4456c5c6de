"""From an interviewer's files to commits, with real git: looked at, sent back, brought together."""

import os
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from bot.app import App, open_app
from bot.settings import load
from core.domain.lifecycle import (
    Cause,
    InterviewKind,
    InterviewStatus,
    ProjectStatus,
    move,
)
from core.operations import additions, interviews
from core.orchestrator.spec_files import (
    APP_SPEC,
    INITIALIZER,
    SPEC_NOW,
    SpecWriter,
    open_workspace,
)
from core.ports.chat import Place
from core.store.chat_tables import Interview
from core.store.tables import Project


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    environment = {"PATH": os.environ["PATH"], "AUTOCODER_MODEL": "practice"}
    async with open_app(load(environment, tmp_path / "home")) as opened:
        yield opened


async def begun(app: App) -> int:
    """A project whose interviewer ended its turn."""
    project = await app.parts.store.run(
        interviews.begin, "Todo", Place("web", "main"), by="web:ann", practice=True,
        budget=Decimal(5), now=app.parts.clock(),
    )  # fmt: skip
    interview = await app.parts.store.read(lambda tx: interviews.current(tx, project.id))
    assert interview is not None
    await ended(app, interview.id)
    return interview.id


async def ended(app: App, interview_id: int) -> None:
    def end(tx: Session) -> None:
        move(tx.get_one(Interview, interview_id), InterviewStatus.CHECKING, by=Cause.SERVICE)

    await app.parts.store.run(end)


async def row(app: App, interview_id: int) -> Interview:
    return await app.parts.store.read(lambda tx: tx.get_one(Interview, interview_id))


async def write(app: App, interview_id: int) -> Interview:
    await SpecWriter(app.parts).write(interview_id)
    return await row(app, interview_id)


async def leave(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        path = folder / (APP_SPEC if name == "spec" else INITIALIZER)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


async def test_what_does_not_do_is_sent_back_in_words(app: App) -> None:
    interview = await begun(app)
    folder = await app.parts.interview_folders.open("todo")
    for files, wrong in (
        ({}, "not there"),
        ({"spec": b"# Todo\n"}, "initializer_prompt.md"),
        ({"spec": b" \n", "prompt": b"Begin.\n"}, "empty"),
    ):
        await leave(folder, **files)
        sent = await write(app, interview)
        assert sent.status is InterviewStatus.ASKING
        assert wrong in sent.notes[-1]["text"]
        await ended(app, interview)
    await leave(folder, spec=b"\xff\xfe")
    await write(app, interview)
    project = await app.parts.store.read(lambda tx: tx.get_one(Project, sent.project_id))
    assert project.status is ProjectStatus.BLOCKED
    assert await app.parts.workspaces.head("todo") is None


async def test_both_files_are_the_first_commit_once(app: App) -> None:
    interview = await begun(app)
    folder = await app.parts.interview_folders.open("todo")
    files = {APP_SPEC: "# Tödo\r\n".encode(), INITIALIZER: b"Begin.\n"}
    await leave(folder, spec=files[APP_SPEC], prompt=files[INITIALIZER])
    # A life that was killed before it recorded what it had made.
    made = await app.parts.workspaces.create("todo", files, "Begin Todo with its spec\n")
    written = await write(app, interview)
    assert (written.status, written.spec_commit) == (InterviewStatus.DONE, made)
    assert await app.parts.workspaces.show("todo", "main", APP_SPEC) == files[APP_SPEC]
    assert (await write(app, interview)).spec_commit == made
    assert len(await app.parts.workspaces.history("todo", "", "main")) == 1


async def feature(app: App) -> tuple[int, Path]:
    """An interview for a feature of a project that runs, and its folder."""

    def run(tx: Session) -> int:
        project = tx.get_one(Project, 1)
        if project.status is ProjectStatus.PLANNING:
            move(project, ProjectStatus.AWAITING_APPROVAL, by=Cause.AGENT)
            move(project, ProjectStatus.RUNNING, by=Cause.PERSON)
        now = app.parts.clock()
        return additions.begin(tx, 1, InterviewKind.FEATURE, "More", by="web:ann", now=now).id

    interview = await app.parts.store.run(run)

    def sitting(tx: Session) -> interviews.InterviewSession:
        found = tx.get_one(Interview, interview)
        return interviews.InterviewSession(
            interview, found.kind, found.number, "todo", "Todo", "More", found.base_commit,
            (), (), (), False, False, (),
        )  # fmt: skip

    services = await open_workspace(app.parts, await app.parts.store.read(sitting))
    return interview, services.work


async def test_a_feature_changes_the_spec_beside_another(app: App) -> None:
    first = await begun(app)
    await leave(
        await app.parts.interview_folders.open("todo"), spec=b"# Todo\n", prompt=b"Begin.\n"
    )
    await write(app, first)
    one, one_folder = await feature(app)
    two, two_folder = await feature(app)
    assert (two_folder / APP_SPEC).read_bytes() == b"# Todo\n"
    await ended(app, one)
    assert "nothing new" in (await write(app, one)).notes[-1]["text"]
    await leave(one_folder, spec=b"# Todo\n\nOne\n")
    await ended(app, one)
    assert (await write(app, one)).status is InterviewStatus.PLANNING
    await leave(two_folder, spec=b"# Todo\n\nTwo\n")
    await ended(app, two)
    together = await write(app, two)
    assert (together.status, together.failures) == (InterviewStatus.ASKING, 0)
    assert (two_folder / SPEC_NOW).read_bytes() == b"# Todo\n\nOne\n"
    await leave(two_folder, spec=b"# Todo\n\nOne\n\nTwo\n")
    await ended(app, two)
    # Put there by a life that was killed before it recorded it.
    head = await app.parts.workspaces.head("todo")
    assert head is not None
    commit = await app.parts.workspaces.commit_files(
        "todo", {APP_SPEC: b"# Todo\n\nOne\n\nTwo\n"}, "Change the spec of Todo\n", expected=head
    )
    written = await write(app, two)
    assert (written.status, written.spec_commit) == (InterviewStatus.PLANNING, commit)
    assert await app.parts.workspaces.head("todo") == commit
    assert len(await app.parts.workspaces.history("todo", "", "main")) == 3
