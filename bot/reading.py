"""`python -m bot.reading DATABASE`: answers long questions beside the service (adapters/reader.py).

Each line on standard input is a question, `{"what", "arguments", "secrets"}`. Its answer is a line,
`SIZE {"next"}` or `SIZE {"error", "message", "hint"}`, and SIZE bytes of JSON without the secrets.
"""

import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from bot import reads
from bot.reads import Question
from core.domain.redaction import Redaction
from core.errors import AutocoderError, InputError, NotFound, StorageFailed
from core.ports.web import Encoded
from core.store.session import Store, reading

_NICER = 5  # so much more patient than the service: whoever presses is served first
_ERRORS: Mapping[str, type[AutocoderError]] = {
    kind.__name__: kind
    for kind in (NotFound, InputError, StorageFailed)  # the narrower first
}


class Beside(Protocol):
    """The child, as far as the service knows it."""

    async def ask(self, question: bytes) -> tuple[bytes, bytes]: ...


async def ask(store: Store, beside: Beside, question: Question, secrets: Sequence[str]) -> Encoded:
    """Read it here, or beside the service where it would hold it up."""
    if not question.is_long or not await store.read(reads.is_large):
        return await store.read(reads.answer, question)
    arguments = dict(question.arguments)
    asked = {"what": question.what, "arguments": arguments, "secrets": list(secrets)}
    line, content = await beside.ask(reads.encoded(asked))
    told: dict[str, Any] = json.loads(line.split(b" ", 1)[1])
    if "error" in told:
        raise _ERRORS[told["error"]](told["message"], hint=told["hint"])
    return Encoded(content, told["next"], clean=True)


def _answer(database: Path, line: bytes) -> tuple[dict[str, Any], bytes]:
    asked = json.loads(line)
    try:
        with reading(database) as tx:
            found = reads.answer(tx, Question(asked["what"], asked["arguments"]))
    except (InputError, NotFound, StorageFailed) as error:
        name = next(name for name, kind in _ERRORS.items() if isinstance(error, kind))
        return {"error": name, "message": str(error), "hint": error.hint}, b""
    clean = Redaction(asked["secrets"])(found.content.decode("utf-8", "surrogateescape"))
    return {"next": found.next}, clean.encode("utf-8", "surrogateescape")


def main() -> None:
    os.nice(_NICER)
    gc.freeze()
    gc.disable()  # what is read is held by no cycle
    database, out = Path(sys.argv[1]), sys.stdout.buffer
    for line in sys.stdin.buffer:
        told, content = _answer(database, line)
        try:
            out.write(b"%d " % len(content) + reads.encoded(told) + b"\n")
            out.write(content)
            out.flush()
        except BrokenPipeError:  # the service was killed meanwhile
            os._exit(0)


if __name__ == "__main__":
    main()
