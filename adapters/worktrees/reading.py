"""Read what git said: logs, diffs, merges."""

from adapters.worktrees.contents import readable_path
from core.ports.host import Conflict, DiffStat, HistoryEntry

LOG_FORMAT = "--format=" + "%x00".join(
    (
        "%H",
        "%P",
        "%s",
        "%(trailers:key=Autocoder-Task,valueonly,separator=%x2C)",
        "%(trailers:key=Autocoder-Feature,valueonly,separator=%x2C)",
    )
)
_LOG_FIELDS = 5
_GITLINK = b"160000"


def read_log(output: bytes) -> tuple[HistoryEntry, ...]:
    """Of `git log -z` with LOG_FORMAT."""
    fields = output.decode("utf-8", "replace").split("\0")
    entries: list[HistoryEntry] = []
    for start in range(0, len(fields) - _LOG_FIELDS + 1, _LOG_FIELDS):
        commit, parents, subject, task, feature = fields[start : start + _LOG_FIELDS]
        entries.append(
            HistoryEntry(
                id=commit.strip(),
                parents=tuple(parents.split()),
                subject=subject,
                task=int(task) if task.isascii() and task.isdigit() else None,
                feature=feature.strip() or None,
            )
        )
    return tuple(entries)


def read_numstat(output: bytes) -> DiffStat:
    """Of `git diff-tree --numstat -z` without rename detection; binary files count no lines."""
    files = added = removed = 0
    for record in output.split(b"\0"):
        plus, _, rest = record.partition(b"\t")
        minus, separator, _ = rest.partition(b"\t")
        if not separator:
            continue
        files += 1
        added += int(plus) if plus.isdigit() else 0
        removed += int(minus) if minus.isdigit() else 0
    return DiffStat(files, added, removed)


def read_raw(output: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of `git diff-index --raw -z`: changed paths, and those among them that are gitlinks."""
    changed: list[str] = []
    links: list[str] = []
    words = output.split(b"\0")
    for head, path in zip(words[::2], words[1::2], strict=False):
        changed.append(readable_path(path))
        if head.split(b" ")[1] == _GITLINK:
            links.append(readable_path(path))
    return tuple(changed), tuple(links)


def read_conflict(output: bytes) -> Conflict:
    """Of `git merge-tree --write-tree --name-only -z` that ended with 1."""
    tree, *words = output.split(b"\0")
    end = words.index(b"") if b"" in words else len(words)
    paths = tuple(dict.fromkeys(readable_path(path) for path in words[:end]))
    # What follows is, per message: the number of paths, the paths, a type, the text.
    texts: list[str] = []
    rest = words[end + 1 :]
    while rest and rest[0].isdigit():
        count = int(rest[0])
        if len(rest) < count + 3:
            break
        texts.append(rest[count + 2].decode("utf-8", "replace").strip())
        rest = rest[count + 3 :]
    return Conflict(tree.decode(), paths, "\n".join(texts))
