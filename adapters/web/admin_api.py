"""Requests that only commands of this host may send: the running service alone writes the database."""

from pathlib import Path

from fastapi import APIRouter
from pydantic import Field
from typing_extensions import TypedDict

from adapters.web.dependencies import Inside, Local
from adapters.web.shapes import Body
from core.errors import InputError

routes = APIRouter(prefix="/api", tags=["house"])


class BackupTarget(Body):
    path: str = Field(max_length=4096, description="A new file, by its absolute path.")


class BackupDone(TypedDict):
    path: str
    bytes: int


@routes.post("/database/backup", status_code=201)
async def backup(body: BackupTarget, inside: Inside, _person: Local) -> BackupDone:
    """Copy the database into a new file of this host, while the service goes on."""
    target = Path(body.path)
    if not target.is_absolute() or "\0" in body.path:
        raise InputError("This is no absolute path.", hint="Begin it with a slash.")
    return {"path": str(target), "bytes": await inside.backend.backup(target)}
