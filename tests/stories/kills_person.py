"""A person who only speaks HTTP: answers, decides, guides, each once, through every kill."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.stories.service import Client

Card = dict[str, Any]
Ask = Callable[[Card], dict[str, Any] | None]


@dataclass(frozen=True)
class Post:
    """Something the person does once; the client_id makes the second try the same one."""

    path: str
    body: dict[str, Any]
    status: int

    @property
    def client_id(self) -> str:
        return str(self.body["client_id"])


def command(text: str) -> Post:
    return said(text, client_id=text)


def said(text: str, *, client_id: str, thread: int | None = None) -> Post:
    body = {"text": text, "client_id": client_id, "thread": thread}
    return Post("/api/chat/main/messages", body, 201)


def pressed(message: dict[str, Any], action_id: str, values: Mapping[str, Any]) -> Post:
    body = {
        "message_id": message["id"],
        "action_id": action_id,
        "values": values,
        "client_id": action_id,
    }
    return Post("/api/chat/presses", body, 200)


@dataclass(frozen=True)
class Habits:
    """What the person says to what: by a part of the question, the number of the decision."""

    answers: Mapping[str, tuple[str, Any]]  # question → how, what
    rejections: Mapping[str, str]  # key of a card → reason
    hint: str = ""


@dataclass
class Person:
    """Sees cards, does what is to be done, and does it again until it was answered."""

    habits: Habits
    name: str
    sent: Callable[[], None] = lambda: None  # the request is on its way
    heard: Callable[[], None] = lambda: None  # its answer came
    done: list[str] = field(default_factory=list)  # client ids
    posts: dict[str, Post] = field(default_factory=dict)
    due: Post | None = None  # sent, and not answered

    def look(self, client: Client) -> str:
        """Do all that waits now; the project's status. Raises where the service is gone."""
        if self.due is not None:
            self._send(client, self.due)
        new = f"/autocoder new {self.name}"
        if new not in self.done:
            self._send(client, command(new))
        for message in client.messages():
            for post in self._wanted(message):
                if post.client_id not in self.done:
                    self._send(client, post)
        found = client.get("/api/projects", timeout=60).json["items"]
        status = str(found[0]["status"]) if found else ""
        if status == "running" and "/autocoder tasks" not in self.done:
            self._send(client, command("/autocoder tasks"))
        return status

    def _send(self, client: Client, post: Post) -> None:
        self.due = post
        answer = client.post(post.path, post.body, timeout=120, on_sent=self.sent)
        assert answer.status == post.status, (post, answer)
        self.due = None
        self.done.append(post.client_id)
        self.posts[post.client_id] = post
        self.heard()

    def _wanted(self, message: dict[str, Any]) -> Iterator[Post]:
        card = message["card"]
        if card is None or message["deleted"]:
            return
        buttons = {button["label"]: button for button in card["buttons"]}
        match card["kind"]:
            case "question" if "Answer" in buttons:
                yield self._answer(message, card, buttons["Answer"])
            case "plan" | "gate" if "Approve" in buttons:
                reason = self.habits.rejections.get(card["key"])
                button = buttons["Reject" if reason else "Approve"]
                yield self._press(message, button, reason)
            case "stuck" if "Guide" in buttons:
                yield self._press(message, buttons["Guide"], self.habits.hint)

    def _press(self, message: dict[str, Any], button: Card, text: str | None) -> Post:
        values = {button["form"]["inputs"][0]["name"]: [text]} if button["form"] else {}
        return pressed(message, button["action_id"], values)

    def _answer(self, message: dict[str, Any], card: Card, button: Card) -> Post:
        how, what = next(
            habit for asked, habit in self.habits.answers.items() if asked in card["body"]
        )
        action = button["action_id"]
        match how:
            case "option":
                return pressed(message, f"{action}:{what}", {})
            case "several":
                return pressed(message, action, {card["inputs"][0]["name"]: what})
            case "form":
                return self._press(message, button, what)
            case "decide":
                return pressed(message, action.replace("answer", "just_decide", 1), {})
            case "thread":
                thread = message["thread"] or message["id"]
                return said(what, client_id=action, thread=thread)
            case _:
                raise AssertionError(how)
