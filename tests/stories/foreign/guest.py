"""A client that knows the contract and nothing else."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.stories.service import Answer, Client, Running, wait_until

Json = dict[str, Any]


@dataclass
class Guest:
    """Somebody with a token who reads cards and acts upon them."""

    service: Running
    client: Client
    channel: str = "main"
    slack_s: float = 240  # for hosts that do something else meanwhile

    def within(self, channel: str) -> "Guest":
        return Guest(self.service, self.client, channel, self.slack_s)

    def get(self, path: str) -> Any:
        answer = self.client.get(path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    def say(self, text: str, thread: int | None = None, **more: Any) -> Json:
        answer = self.client.say(text, self.channel, thread=thread, **more)
        assert answer.status == 201, answer.body
        message: Json = answer.json
        return message

    def messages(self) -> list[Json]:
        return self.client.messages(self.channel)

    def cards(self, kind: str, project: str | None = None) -> list[Json]:
        """Messages with cards of a kind, oldest first."""
        return [
            message
            for message in self.messages()
            if message["card"]
            and not message["deleted"]
            and message["card"]["kind"] == kind
            and project in (None, message["card"]["project"])
        ]

    def wait(self, look: Callable[[], Any]) -> Any:
        """What `look` finds, once it finds something."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [look()]
            return bool(found[0])

        try:
            wait_until(there, self.slack_s)
        except AssertionError:
            lines = "\n".join(self.story())
            log = self.service.out.read_text()[-2000:]
            raise AssertionError(f"It does not come.\n{lines}\n{log}") from None
        return found[0]

    def story(self) -> Iterator[str]:
        for message in self.messages():
            card = message["card"]
            name = f"{card['key']} [{card['title']}] {card['body'][:200]!r}" if card else ""
            yield f"{message['id']} {message['thread']} {message['author']} {message['text'][:90]!r} {name}"

    def answered(self, said: Json, kind: str = "answer") -> Json:
        """The card that answers a command; words about refused presses may come between."""

        def look() -> list[Json]:
            return [
                message
                for message in self.messages()
                if message["id"] > said["id"]
                and message["card"]
                and message["card"]["kind"] == kind
                and message["thread"] == said["thread"]
            ]

        found: Json = self.wait(look)[0]
        return found

    def command(self, line: str, thread: int | None = None, kind: str = "answer") -> Json:
        return self.answered(self.say(f"/autocoder {line}", thread), kind)

    def open_question(self, project: str, *, after: int = 0) -> Json:
        """The newest question that waits, asked after another one."""
        found: Json = self.wait(
            lambda: [
                message
                for message in self.cards("question", project)
                if message["card"]["buttons"] and message["id"] > after
            ]
        )[-1]
        return found

    def press(self, message: Json, label: str, values: Json | None = None) -> Answer:
        return self.act(message, self.button(message, label)["action_id"], values)

    def act(self, message: Json, action: str, values: Json | None = None) -> Answer:
        body: Json = {"message_id": message["id"], "action_id": action}
        return self.client.post("/api/chat/presses", body | ({"values": values} if values else {}))

    def button(self, message: Json, label: str) -> Json:
        found = {button["label"]: button for button in message["card"]["buttons"]}
        assert label in found, (label, sorted(found))
        button: Json = found[label]
        return button

    def again(self, message: Json) -> Json:
        """The message as it is now."""
        found: Json = next(m for m in self.messages() if m["id"] == message["id"])
        return found

    def project(self, name: str) -> Json:
        found: Json = self.get(f"/api/projects/{name.replace(' ', '%20')}")
        return found

    def all(self, path: str) -> list[Json]:
        """Every item of a collection, by its cursors."""
        items: list[Json] = []
        cursor = ""
        while True:
            part = self.get(f"{path}{'&' if '?' in path else '?'}limit=7{cursor}")
            assert set(part) >= {"items", "next"}
            items += part["items"]
            if part["next"] is None:
                return items
            assert len(part["items"]) == 7
            cursor = f"&cursor={part['next']}"


def pause() -> None:
    time.sleep(0.05)


def action_of(message: Json, pattern: str) -> str:
    """The one action that looks like this."""
    found = [b["action_id"] for b in message["card"]["buttons"]]
    fitting = [action for action in found if re.fullmatch(pattern, action)]
    assert len(fitting) == 1, (pattern, found)
    return str(fitting[0])
