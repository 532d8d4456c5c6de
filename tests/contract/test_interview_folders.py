"""Interviewers' folders: what an agent left there leads nowhere else."""

import os
from pathlib import Path

import pytest

from adapters.interview_folders import HostInterviewFolders
from core.errors import BadSpec, WorkspaceError

SPEC = ".autocoder/prompts/app_spec.txt"


@pytest.fixture
def interview_folders(tmp_path: Path) -> HostInterviewFolders:
    return HostInterviewFolders(tmp_path)


async def test_a_file_is_read_as_it_is(interview_folders: HostInterviewFolders) -> None:
    folder = await interview_folders.open("todo")
    assert await interview_folders.open("todo") == folder
    (folder / SPEC).write_bytes(b"\xff a spec")
    assert await interview_folders.read(folder, SPEC, limit=8) == b"\xff a spec"
    with pytest.raises(BadSpec, match="larger than 7"):
        await interview_folders.read(folder, SPEC, limit=7)


async def test_what_is_no_file_is_named(
    interview_folders: HostInterviewFolders, tmp_path: Path
) -> None:
    folder = await interview_folders.open("todo")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    with pytest.raises(BadSpec, match="not there"):
        await interview_folders.read(folder, SPEC, limit=100)
    (folder / SPEC).symlink_to(secret)
    with pytest.raises(BadSpec, match="link"):
        await interview_folders.read(folder, SPEC, limit=100)
    (folder / SPEC).unlink()
    (folder / SPEC).mkdir()
    with pytest.raises(BadSpec):
        await interview_folders.read(folder, SPEC, limit=100)
    (folder / SPEC).rmdir()
    os.mkfifo(folder / SPEC)
    with pytest.raises(BadSpec, match="no file"):
        await interview_folders.read(folder, SPEC, limit=100)


async def test_a_linked_folder_is_not_entered(
    interview_folders: HostInterviewFolders, tmp_path: Path
) -> None:
    folder = await interview_folders.open("todo")
    (folder / ".autocoder" / "prompts").rmdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app_spec.txt").write_text("secret")
    (folder / ".autocoder" / "prompts").symlink_to(outside)
    (folder / "material").symlink_to(outside)
    with pytest.raises(BadSpec, match="link"):
        await interview_folders.read(folder, SPEC, limit=100)
    with pytest.raises(WorkspaceError):
        await interview_folders.write(folder, SPEC, b"new")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "f1").write_bytes(b"png")
    with pytest.raises(WorkspaceError):
        await interview_folders.copy_in(folder, "material/1.png", "f1")
    assert os.listdir(outside) == ["app_spec.txt"]
    assert (outside / "app_spec.txt").read_text() == "secret"


async def test_a_dropped_file_is_laid_there_once(
    interview_folders: HostInterviewFolders, tmp_path: Path
) -> None:
    folder = await interview_folders.open("todo")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "f1").write_bytes(b"png")
    (tmp_path / "secret").write_text("secret")
    for _ in range(2):
        await interview_folders.copy_in(folder, "material/1.png", "f1")
        await interview_folders.copy_in(folder, "material/2.png", "gone")
        await interview_folders.copy_in(folder, "material/3.png", "../secret")
    assert os.listdir(folder / "material") == ["1.png"]
    assert (folder / "material/1.png").read_bytes() == b"png"
