"""Plain messages in the thread of an interview: words for it, and files."""

from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.domain.agents import AgentKind
from core.domain.lifecycle import TaskStatus
from core.operations import questions
from core.ports.chat import Attachment, Place, Said
from core.store.chat_tables import Guidance, Interview
from core.store.tables import Project, Question
from tests.unit.bot.commands import stage as world
from tests.unit.bot.commands.stage import NOW, stage


async def test_words_for_an_interviewer_that_asked_nothing_have_no_effect(tmp_path: Path) -> None:
    def words(tx: Session) -> list[str]:
        return [note["text"] for note in tx.scalars(select(Interview)).one().notes]

    async with stage(tmp_path) as it:
        await it.command("new todo-api")
        await it.change(lambda tx: world.posted(tx, "interview:todo-api", "7"))
        thread = Place("web", "main", "7")
        for person in ("web:local", "web:nobody"):
            item, outcome = await it.say("It is for two people", by=person, place=thread)
            assert outcome.text.startswith("This changed nothing: todo-api is interviewing")
            card = await it.card(item)
            assert card is not None
            assert card.title == outcome.text
        assert await it.change(words) == []


async def test_words_beside_a_decision_say_that_it_waits(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.plan(tx, world.project(tx)))
        item, outcome = await it.say("looks good to me", place=world.thread())
        assert outcome.text == ("This changed nothing: Plan 1 of todo-api waits for a decision now")
        card = await it.card(item)
        assert card is not None
        assert card.body == "Approve it, or reject it with a reason."
        assert [link.label for link in card.links] == ["Review the plan"]


async def test_a_file_that_is_dropped_without_words_answers_nothing(tmp_path: Path) -> None:
    """The page says the names of its files where nobody wrote anything."""

    def ask(tx: Session) -> int:
        interview = tx.scalars(select(Interview)).one()
        run = world.run(tx, tx.get_one(Project, 1), kind=AgentKind.INTERVIEWER)
        run.interview_id = interview.id
        return questions.ask(tx, run.id, "Which?", (), False, now=NOW)

    async with stage(tmp_path) as it:
        await it.command("new todo-api")
        await it.change(lambda tx: world.posted(tx, "interview:todo-api", "7"))
        number = await it.change(ask)
        thread = Place("web", "main", "7")
        file = Attachment("f1", "shot.png", 9)
        assert (await it.deliver(Said("shot.png", (file,)), place=thread)).ok
        assert (await it.row(Question, number)).answer is None
        other = Attachment("f2", "note.md", 9)
        assert (await it.deliver(Said("as here", (other,)), place=thread)).ok
        assert (await it.row(Question, number)).answer == "as here"
        [interview] = await it.rows(Interview)
        assert [row["name"] for row in interview.material] == ["1-shot.png", "2-note.md"]


async def test_words_with_files_are_heard_where_no_interview_asks(tmp_path: Path) -> None:
    file = Attachment("f1", "shot.png", 9)
    async with stage(tmp_path) as it:
        await it.change(lambda tx: world.tasks(tx, world.project(tx), TaskStatus.PENDING))
        for mention in (False, True):
            said = Said(f"as here, {mention}", (file,), mention=mention)
            assert (await it.deliver(said, place=world.thread())).ok
        assert [row.text for row in await it.rows(Guidance)] == ["as here, False", "as here, True"]
        assert "no effect" in (await it.deliver(Said("", (file,)), place=world.thread())).text


async def test_files_with_a_mention_are_material_too(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.command("new todo-api")
        await it.change(lambda tx: world.posted(tx, "interview:todo-api", "7"))
        said = Said("look at this", (Attachment("f1", "shot.png", 9),), mention=True)
        assert (await it.deliver(said, place=Place("web", "main", "7"))).ok
        [interview] = await it.rows(Interview)
        assert [row["file"] for row in interview.material] == ["f1"]
        assert [note["text"] for note in interview.notes][-1] == "local says: look at this"
