"""Our tools, each with its schema and what it does.

Who calls is known from the process; an argument never says it. Every answer is one text block
of JSON; what is refused is a tool error with words that say what to do.
"""

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from core.domain import failure
from core.domain.agents import PROFILES, Purpose
from core.domain.counting import count
from core.domain.lifecycle import TaskStatus
from core.domain.plan import Plan
from core.domain.proof import Verdict
from core.domain.redaction import redacted
from core.errors import AutocoderError, InputError, StateError
from core.operations import additions, guidance, planners, questions, runs
from core.orchestrator.parts import Parts
from core.orchestrator.proving import Prover, load_work
from core.ports.agents import Tool, ToolCall, ToolReply
from core.views import projects, task_context
from core.views import runs as running
from core.views import tasks as listed
from core.views.json import plain
from core.views.task_context import TaskContext
from core.views.tasks import TaskBrief, TaskLine

JudgeCommand = Callable[[str], Awaitable[str | None]]
"""The reason why the bash policy refuses a command, or None."""

LISTED = 300  # tasks that are listed at once
NOBODY_HERE = "Nobody is here: decide yourself, and say in your last words what you decided."
ASKED = (
    "The question was put to a person; end your turn now. The answer reaches you when it comes."
    ' "just decide" as an answer means: choose yourself, and say what you chose.'
)


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _TaskId(_Arguments):
    task_id: int = Field(description="the id that task_get_next gave")


class _TaskList(_Arguments):
    status: str = Field(
        default="", description="only those of this status: pending, in_progress, passing, stuck, …"
    )


class _TaskReason(_TaskId):
    reason: str = Field(default="", max_length=4000, description="what is in the way")


class _Nothing(_Arguments):
    pass


class _Option(_Arguments):
    label: str


class _Ask(_Arguments):
    question: str = Field(description="one clear question")
    options: list[str | _Option] = Field(
        default_factory=list, description="choices, if there are any"
    )
    multiple: bool = Field(default=False, description="whether several may be chosen")
    topic: str = Field(default="", description="what it is about, in a word or two")
    expected: int | None = Field(default=None, description="how many questions you expect in all")


class _PlanSubmit(_Arguments):
    plan: Plan


Handler = Callable[[ToolCall], Awaitable[ToolReply]]


class Toolbox:
    """Every tool that this journey's agents have, by name."""

    def __init__(
        self,
        parts: Parts,
        prover: Prover,
        *,
        judge: JudgeCommand,
        end_run: Callable[[int, str], None],
    ) -> None:
        self._parts = parts
        self._prover = prover
        self._judge = judge
        self._end_run = end_run
        self._plan_refusals: dict[int, int] = {}

    def tools(self) -> dict[str, Tool]:
        """The tools as values, for the runner: of each docstring the agent reads all."""
        rows: tuple[tuple[Handler, type[_Arguments], bool], ...] = (
            (self.task_get_next, _Nothing, False),
            (self.task_get, _TaskId, True),
            (self.task_list, _TaskList, True),
            (self.task_mark_passing, _TaskId, False),
            (self.task_mark_failing, _TaskReason, False),
            (self.task_skip, _TaskReason, False),
            (self.task_release, _TaskReason, False),
            (self.ask_person, _Ask, False),
            (self.plan_submit, _PlanSubmit, False),
        )
        return {
            handler.__name__: Tool(
                handler.__name__,
                inspect.getdoc(handler) or "",
                schema(arguments),
                _checked(handler, self._parts.redact.hide),
                read_only,
            )
            for handler, arguments, read_only in rows
        }

    async def task_get_next(self, call: ToolCall) -> ToolReply:
        """The next task for you, already yours; null means end your turn."""
        claimed = await self._prover.next_task(call.process_id)
        task = plain(TaskBrief, claimed.task) if claimed.task else None
        hints = await self._hints(call) if claimed.task else []
        guided: dict[str, object] = {"guidance": hints} if hints else {}
        return _json({"task": task, "left": claimed.left, **guided})

    async def _hints(self, call: ToolCall) -> list[str]:
        """What people said meanwhile to the agent that holds a task; it is told once."""
        store, process = self._parts.store, self._parts.process_number(call.process_id)
        run_id = await store.read(guidance.waits_for, process)
        if run_id is None:
            return []
        taken = await store.run(guidance.take, run_id, now=self._parts.clock())
        return [f"{hint.person} says: {hint.text}" for hint in taken]

    async def task_get(self, call: ToolCall) -> ToolReply:
        """A task by its id, with all you may know of it."""
        arguments = _TaskId.model_validate(call.arguments)
        run_id = await self._run_of(call)
        store = self._parts.store
        run = await store.read(running.run, run_id)
        if PROFILES[run.kind].purpose is not Purpose.TASKS:
            found = await store.read(task_context.of_task, run.project_id, arguments.task_id)
            return _json(plain(TaskContext, found))
        work = await store.read(load_work, run_id, self._parts.rules)
        if work.task.id != arguments.task_id:
            raise StateError(
                f"Task {arguments.task_id} is not yours; you hold task {work.task.id}."
            )
        return _json({"task": plain(TaskBrief, work.task)})

    async def task_list(self, call: ToolCall) -> ToolReply:
        """The project's tasks in short."""
        arguments = _TaskList.model_validate(call.arguments)
        run_id = await self._run_of(call)
        known = {status.value: status for status in TaskStatus}
        if arguments.status and arguments.status not in known:
            raise InputError(f"A status is one of {', '.join(known)}.")
        wanted = known.get(arguments.status)
        store = self._parts.store
        project_id = (await store.read(running.run, run_id)).project_id
        found = await store.read(listed.lines, project_id, status=wanted, limit=LISTED)
        return _json({"tasks": plain(list[TaskLine], found)})

    async def task_mark_passing(self, call: ToolCall) -> ToolReply:
        """Have the service prove and commit your task. Refusals show the failing check."""
        arguments = _TaskId.model_validate(call.arguments)
        reply = await self._prover.prove(call.process_id, arguments.task_id)
        if reply.verdict.accepted:
            return _json(
                {
                    "accepted": True,
                    "evidence": {"id": reply.evidence_id, "commit": reply.commit},
                }
            )
        if reply.verdict is Verdict.NOTHING_DONE:
            return ToolReply(f"Not accepted.\n{reply.words}", refused=True)
        left = failure.REFUSAL_LIMIT - reply.refusals
        after = (
            "Five refusals: this run has ended. End your turn."
            if reply.over
            else f"Mend the cause, then call task_mark_passing again ({count(left, 'refusal')} left)."
        )
        hints = [] if reply.over else await self._hints(call)
        said = "\n\n".join((f"Not accepted.\n{reply.words}", *hints, after))
        return ToolReply(said, refused=True)

    async def task_mark_failing(self, call: ToolCall) -> ToolReply:
        """Say that your task cannot be done as it is written."""
        return await self._let_go(call, "it cannot be done as written")

    async def task_release(self, call: ToolCall) -> ToolReply:
        """Give your task back, with what is in the way."""
        return await self._let_go(call, "it was given back")

    async def task_skip(self, call: ToolCall) -> ToolReply:
        """Put your task to the end of the queue; once per task."""
        return await self._let_go(call, "it was put off", defer=True)

    async def _let_go(self, call: ToolCall, what: str, *, defer: bool = False) -> ToolReply:
        arguments = _TaskReason.model_validate(call.arguments)
        run_id = await self._run_of(call)
        words = f"{what}: {arguments.reason}" if arguments.reason else what
        await self._prover.let_go(call.process_id, run_id, arguments.task_id, words, defer=defer)
        return _json({"released": True, "note": "Call task_get_next, or end your turn."})

    async def ask_person(self, call: ToolCall) -> ToolReply:
        """Ask a person what only a person can decide."""
        arguments = _Ask.model_validate(call.arguments)
        parts = self._parts
        run_id = await self._run_of(call)
        question = await parts.store.run(
            questions.ask,
            run_id,
            arguments.question,
            [o if isinstance(o, str) else o.label for o in arguments.options],
            arguments.multiple,
            topic=arguments.topic,
            expected=arguments.expected,
            now=parts.clock(),
        )
        if parts.nobody_here:
            await parts.store.run(
                questions.answer, question, NOBODY_HERE, by="service", now=parts.clock()
            )
        if PROFILES[(await parts.store.read(running.run, run_id)).kind].converses:
            waits = timedelta(0)  # also if the answer comes at once
        else:
            waits = timedelta(seconds=(await parts.rules_of(run_id)).agents.ask_wait_s)
        answer = await self._answer(question, waits)
        if answer is None:
            return _json({"asked": True, "note": ASKED})
        return ToolReply(answer)

    async def _answer(self, question: int, waits: timedelta) -> str | None:
        """The answer, if it comes within `waits` (at most a minute)."""
        parts = self._parts
        if not waits:
            return None
        try:
            async with asyncio.timeout(waits.total_seconds()):
                seen = parts.wake.count
                while not await parts.store.read(questions.answered, question):
                    seen = await parts.wake.wait(seen)
        except TimeoutError:
            return None
        return await parts.store.run(questions.take_answer, question)  # taken is delivered

    async def plan_submit(self, call: ToolCall) -> ToolReply:
        """Submit the plan. The answer says what must be mended."""
        run_id = await self._run_of(call)
        try:
            plan = _PLAN.validate_python(_plan_argument(call.arguments))
        except ValidationError as error:
            return await self._plan_refused(run_id, validation_problems(error))
        parts = self._parts
        project_id = (await parts.store.read(running.run, run_id)).project_id
        project = await parts.store.read(projects.summary, project_id)
        refused = {}
        for command in plan.check_commands():
            reason = await self._judge(command)
            if reason is not None:
                refused[command] = reason
        submitted = await parts.store.run(
            additions.submit,
            run_id,
            plan,
            refused,
            main=await parts.workspaces.head(project.slug),
            max_attempts=(await parts.rules_of(run_id)).agents.max_attempts,
            now=parts.clock(),
        )
        if submitted.problems:
            return await self._plan_refused(run_id, submitted.problems)
        self._plan_refusals.pop(run_id, None)
        return _json({"accepted": True, "problems": []})

    async def _plan_refused(self, run_id: int, problems: tuple[str, ...]) -> ToolReply:
        parts = self._parts
        await parts.store.run(planners.plan_refused, run_id, problems, now=parts.clock())
        refused = self._plan_refusals.get(run_id, 0) + 1
        self._plan_refusals[run_id] = refused
        if refused >= failure.REFUSAL_LIMIT:
            self._plan_refusals.pop(run_id)
            self._end_run(run_id, f"five refused plans, the last one for: {problems[0]}")
        shown = [*problems[:30]]
        if len(problems) > 30:
            shown.append(f"… and {count(len(problems) - 30, 'more problem')}.")
        return _json({"accepted": False, "problems": shown})

    async def _run_of(self, call: ToolCall) -> int:
        run_id = await self._parts.store.read(
            runs.current_run, self._parts.process_number(call.process_id)
        )
        if run_id is None:
            raise StateError("This run has ended. End your turn.")
        return run_id


_PLAN = TypeAdapter(Plan)


def _plan_argument(arguments: Mapping[str, object]) -> object:
    """The plan; models now and then send it as a JSON string, or without its wrapper."""
    plan = arguments.get("plan", arguments)
    if isinstance(plan, str):
        try:
            return _storable(json.loads(plan))
        except (json.JSONDecodeError, RecursionError):
            return plan
    return plan


def _storable(value: Any) -> Any:
    """The same without lone surrogates, which JSON can say and no file or table can hold."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))


def validation_problems(error: ValidationError) -> tuple[str, ...]:
    """What is wrong with the arguments, a line each."""
    return tuple(
        f"{'.'.join(str(part) for part in problem['loc']) or 'plan'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False)
    )


def _checked(handler: Handler, hide: Callable[[str], str]) -> Handler:
    async def checked(call: ToolCall) -> ToolReply:
        try:
            arguments = redacted(_storable(call.arguments), hide)
            return await handler(ToolCall(call.process_id, arguments))
        except ValidationError as error:
            return ToolReply("; ".join(validation_problems(error)), refused=True)
        except AutocoderError as error:
            return ToolReply(f"{error} {error.hint}".strip(), refused=True)

    return checked


def schema(arguments: type[_Arguments]) -> dict[str, Any]:
    """The JSON Schema of a tool's arguments, without titles (they cost bytes per request)."""
    made = arguments.model_json_schema()
    return {"type": "object", "properties": {}, **_plain(made)}


def _plain(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _plain(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str))
        }
    if isinstance(node, list):
        return [_plain(item) for item in node]
    return node


def _json(value: Mapping[str, object]) -> ToolReply:
    return ToolReply(json.dumps(value, ensure_ascii=False))
