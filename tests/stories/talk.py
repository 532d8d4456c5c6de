"""`python -m tests.stories.talk HOME`: the service without a chat; a person's doings by stdin.

Each line is a JSON list: the name of a doing and its arguments. It prints `ready`, then one line
for each doing, so that whoever writes them knows what is durable.
"""

import asyncio
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

from bot.app import App, open_app
from bot.settings import load
from core.domain.lifecycle import InterviewKind
from core.errors import AutocoderError
from core.operations import additions, approvals, interviews, projects, questions, tasks
from core.ports.chat import Attachment, Place

WHO = "web:local"
PLACE = Place("web", "main")


async def doing(app: App, name: str, arguments: list[Any]) -> object:
    store, now = app.parts.store, app.parts.clock()
    match name, arguments:
        case "new", [project]:
            begun = await store.run(
                interviews.begin, project, PLACE, by=WHO, practice=app.practice,
                budget=Decimal(20), now=now,
            )  # fmt: skip
            return begun.id
        case "answer", [question, text]:
            return await store.run(questions.answer, question, text, by=WHO, now=now)
        case "choose", [question, places]:
            return await store.run(questions.choose, question, places, by=WHO, now=now)
        case "change", [question, text]:
            return await store.run(interviews.change_answer, question, text, by=WHO, now=now)
        case "drop", [project, file, called]:
            files = [Attachment(file, called, 3)]
            return await store.run(interviews.add_material, project, files)
        case "add", [project, kind, text]:
            added = await store.run(
                additions.begin, project, InterviewKind(kind), text, by=WHO, now=now
            )
            return added.id
        case "withdraw", [interview]:
            return await store.run(additions.withdraw, interview, by=WHO, now=now)
        case "approve", [approval, slug]:
            main = await app.parts.workspaces.head(slug)
            return await store.run(
                approvals.approve, approval, by=WHO, main=main, max_attempts=5, now=now
            )
        case "reject", [approval, reason]:
            return await store.run(approvals.reject, approval, reason, by=WHO, now=now)
        case "retry", [task]:
            return await store.run(tasks.retry, task, model=None, by=WHO, max_attempts=5, now=now)
        case "resume", [project]:
            return await store.run(projects.resume, project, actor=WHO, now=now)
        case _:
            raise ValueError(name)


async def listen(app: App) -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, *arguments = json.loads(line)
        try:
            answer = await doing(app, name, arguments)
        except AutocoderError as error:
            answer = f"{type(error).__name__}: {error} {error.hint}"
        print(json.dumps(answer), flush=True)


async def main(home: Path) -> None:
    async with open_app(load(os.environ, home)) as app:
        app.orchestrator.take_all()
        loop = asyncio.create_task(app.orchestrator.run())
        print("ready", flush=True)
        listening = asyncio.create_task(listen(app))
        await asyncio.wait((loop, listening), return_when=asyncio.FIRST_COMPLETED)
        await app.orchestrator.stop()
        loop.cancel()
        await asyncio.wait((loop,))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
