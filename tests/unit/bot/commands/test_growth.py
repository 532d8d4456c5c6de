"""A project that grew: its plan, its graph, its estimate are of all that is built, everywhere."""

from pathlib import Path

from sqlalchemy.orm import Session

from core.domain.rules import Agents, Rules
from core.store.tables import Project
from core.views import boards, projects
from core.views.projects import Service
from tests.unit.bot.cards import stage as work
from tests.unit.bot.commands.stage import NOW, Stage, stage

RULES = Rules(agents=Agents(max_parallel=3))


def grown(tx: Session) -> int:
    """A feature of two tasks was added to the first phase of two, and approved."""
    project_id = work.build(tx)
    work.approve(tx, work.add(tx, project_id))
    return project_id


async def estimates(it: Stage, project_id: int) -> set[tuple[object, ...]]:
    """What the live card and REST say it takes: one value where they agree."""

    def read(tx: Session) -> set[tuple[object, ...]]:
        board = boards.board(tx, project_id, upstream="practice", rules=RULES, now=NOW)
        told = projects.project(tx, "todo-api", Service(Path("/p"), "practice", RULES, NOW))
        assert board.planned is not None
        assert told.estimate is not None
        return {
            (*board.planned.cost_usd, *board.planned.minutes),
            (*told.estimate.cost_usd, *told.estimate.minutes),
        }

    return await it.store.read(read)


async def test_card_and_rest_estimate_the_same_before_and_after_an_addition(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as it:
        project_id = await it.change(work.begin)
        await it.change(lambda tx: work.submit(tx, project_id))
        [waiting] = await estimates(it, project_id)
    async with stage(tmp_path / "grown") as it:
        project_id = await it.change(grown)
        [more] = await estimates(it, project_id)
        assert more > waiting, "two more tasks take more"

        def fewer(tx: Session) -> None:
            tx.get_one(Project, project_id).settings = {"max_parallel": 1}

        await it.change(fewer)
        [alone] = await estimates(it, project_id)
        assert alone > more, "fewer agents take longer"


async def test_the_plan_is_shown_with_what_was_added(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        await it.change(work.build)
        before = await it.ask("plan todo-api")
        assert before.title == "Plan 1 for todo-api"
        assert "2 phases, 3 features, 5 tasks" in before.body
    async with stage(tmp_path / "grown") as it:
        await it.change(grown)
        card = await it.ask("plan todo-api")
        assert card.title == "Plan 1 for todo-api, with what was added"
        assert "2 phases, 4 features, 7 tasks" in card.body
        assert "- Palette ← Storage\n  6 Pick · 2/5\n  7 Draw · 2/5" in card.body
        assert "**2 Release**\n- Docs\n  5 README · 4/5" in card.body
        assert card.whole is not None
        assert "### Palette" in card.whole.text
        forecasts = {each.name: each.value for each in card.fields}
        assert forecasts["Cost"].startswith("about $")
        assert forecasts["Time"].startswith("about ")


async def test_the_graph_draws_what_it_lists(tmp_path: Path) -> None:
    async with stage(tmp_path) as it:
        project_id = await it.change(grown)
        card = await it.ask("graph todo-api")
        [picture] = card.pictures
        drawn = await it.door.svg(picture.url)
        for feature in ("Storage", "Endpoints", "Palette", "Docs"):
            assert feature in card.body
            assert f">{feature}</text>" in drawn
        assert picture.url == f"/api/pictures/graph/{project_id}.svg"
        assert picture.alt.startswith(
            "Dependencies of 2 phases, 4 features, 7 tasks. 1 Foundation: "
        )
        assert "Palette 2 tasks after Storage" in picture.alt
