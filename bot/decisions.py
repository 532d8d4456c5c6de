"""What a line typed at a prompt does."""

from typing import assert_never

from bot.answers import chosen
from bot.terminal.view import GatePrompt, PlanPrompt, Prompt, QuestionPrompt, StuckPrompt, View
from core.domain.lifecycle import Cause
from core.domain.report import Report
from core.errors import InputError, StateError
from core.operations import approvals, questions, tasks
from core.operations.questions import OpenQuestion
from core.orchestrator.rules import Parts

PERSON = "web:local"


class Decisions:
    """Carries out the answers of the person at the terminal."""

    def __init__(self, parts: Parts, view: View) -> None:
        self._parts = parts
        self._view = view

    async def apply(self, prompt: Prompt, line: str, board: Report) -> None:
        word, _, rest = line.strip().partition(" ")
        try:
            match prompt:
                case PlanPrompt() | GatePrompt():
                    done = await self._decide(prompt, word.lower(), rest, board)
                case StuckPrompt():
                    done = await self._unstick(prompt, word.lower(), rest)
                case QuestionPrompt():
                    done = await self._answer(prompt.question, line)
                case _:
                    assert_never(prompt)
            if done:
                self._view.decided(prompt, line.strip())
        except (InputError, StateError) as error:
            self._view.complain(str(error), error.hint)

    async def _decide(
        self, prompt: PlanPrompt | GatePrompt, word: str, rest: str, board: Report
    ) -> bool:
        store, now = self._parts.store, self._parts.clock()
        match word:
            case "approve":
                main = await self._parts.workspaces.head(board.slug)
                await store.run(
                    approvals.approve,
                    prompt.approval.id,
                    by=PERSON,
                    main=main,
                    max_attempts=self._parts.rules.max_attempts,
                    now=now,
                )
                return True
            case "reject":
                await store.run(approvals.reject, prompt.approval.id, rest, by=PERSON, now=now)
                return True
            case "details":
                self._view.details(prompt, board, await self._patch(prompt, board))
                return False
            case _:
                raise InputError(
                    f"{word[:40]!r} is no answer here.",
                    hint="Type `approve`, `reject REASON` or `details`.",
                )

    async def _patch(self, prompt: PlanPrompt | GatePrompt, board: Report) -> str:
        if isinstance(prompt, PlanPrompt):
            return ""
        base = prompt.phase.base_commit or board.first_commit or prompt.approval.version
        return await self._parts.workspaces.diff(board.slug, base, prompt.approval.version)

    async def _unstick(self, prompt: StuckPrompt, word: str, rest: str) -> bool:
        store, rules, now = self._parts.store, self._parts.rules, self._parts.clock()
        task = prompt.task.id
        match word:
            case "retry":
                model = rest.strip().lower() or None
                if model is not None and model not in rules.policy.chain:
                    names = ", ".join(rules.policy.chain)
                    raise InputError(
                        f"{model[:40]!r} is no model of the chain.", hint=f"There are: {names}."
                    )
                await store.run(
                    tasks.retry, task, model=model, by=PERSON,
                    max_attempts=rules.max_attempts, now=now,
                )  # fmt: skip
            case "skip":
                await store.run(tasks.skip, task, cause=Cause.PERSON, by=PERSON, now=now)
            case "guide":
                await store.run(
                    tasks.guide, task, rest, by=PERSON, max_attempts=rules.max_attempts, now=now
                )
            case _:
                raise InputError(
                    f"{word[:40]!r} is no answer here.",
                    hint="Type `retry`, `retry opus`, `skip` or `guide TEXT`.",
                )
        return True

    async def _answer(self, question: OpenQuestion, line: str) -> bool:
        await self._parts.store.run(
            questions.answer, question.id, chosen(question.options, question.multiple, line, numbered=True), by=PERSON,
            now=self._parts.clock(),
        )  # fmt: skip
        return True
