"""Parses shell commands with shfmt's grammar and has them judged."""

import asyncio
import json
import os
import shutil
import sys
from collections import OrderedDict
from collections.abc import Set as AbstractSet
from pathlib import Path

from core.domain.bash_policy import JudgeCommand, Verdict, judge
from core.domain.bash_words import Folder
from core.errors import MissingProgram

_KEPT = 512
_LONGEST = 100_000
_SECONDS = 10
_DEEPEST = 5


class BashJudge:
    """A `JudgeCommand`. Fails closed: what cannot be parsed is refused.

    `marker` is the AUTOCODER_PROCESS of the parser's processes; `extra` names further allowed
    programs. Raises MissingProgram without shfmt.
    """

    def __init__(self, marker: str, *, extra: AbstractSet[str] = frozenset()) -> None:
        beside = Path(sys.executable).parent / "shfmt"
        found = str(beside) if beside.is_file() else shutil.which("shfmt")
        if found is None:
            raise MissingProgram("shfmt is not installed.", hint="Install the package shfmt-py.")
        self._parser = found
        self._environment = {"PATH": os.defpath, "AUTOCODER_PROCESS": marker}
        self._extra = extra
        self._verdicts: OrderedDict[tuple[str, str | None], Verdict] = OrderedDict()

    async def __call__(self, command: str) -> Verdict:
        """The verdict where the worktree is not known yet: relative paths only."""
        return await self._remembered(command, None)

    def within(self, work: Path) -> JudgeCommand:
        """The same for commands in a worktree, which may name its absolute path."""

        async def judged(command: str) -> Verdict:
            return await self._remembered(command, str(work))

        return judged

    async def _remembered(self, command: str, work: str | None) -> Verdict:
        key = (command, work)
        verdict = self._verdicts.pop(key, None)
        if verdict is None:
            verdict = await self._judge(command, Folder(work), 0)
        self._verdicts[key] = verdict
        if len(self._verdicts) > _KEPT:
            self._verdicts.popitem(last=False)
        return verdict

    async def _judge(self, command: str, folder: Folder, depth: int) -> Verdict:
        if not command.strip():
            return Verdict(False, "The command is empty.")
        if len(command) > _LONGEST or "\0" in command:
            return Verdict(False, "The command is too long. Write it into a script file, run that.")
        if depth > _DEEPEST:
            return Verdict(False, "Shells within shells: write it into a script file and run that.")
        try:
            tree = json.loads(await self._parse(command))
        except (ValueError, RecursionError, TimeoutError) as error:
            words = str(error).strip() or "it takes too long"
            return Verdict(False, f"The command cannot be parsed ({words}). Write it more simply.")
        judgement = judge(tree, folder=folder, extra=self._extra)
        if judgement.reason is not None:
            return Verdict(False, judgement.reason)
        for script in judgement.scripts:
            verdict = await self._judge(script, folder, depth + 1)
            if not verdict.allowed:
                return verdict
        return Verdict(True)

    async def _parse(self, command: str) -> bytes:
        """The syntax tree as JSON. Raises ValueError with the parser's words."""
        process = await asyncio.create_subprocess_exec(
            *(self._parser, "--to-json", "--language-dialect", "bash"),
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                tree, words = await process.communicate(command.encode("utf-8", "surrogatepass"))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise ValueError(words.decode("utf-8", "replace").strip()[:300])
        return tree
