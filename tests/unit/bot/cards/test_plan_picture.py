"""The picture of a plan is well-formed, whatever its names are, and shows who waits for whom."""

from xml.etree import ElementTree

from sqlalchemy.orm import Session

from bot.cards import CARDS, plan
from bot.cards.plan_picture import MOST_FEATURES, plan_svg
from core.domain.events import CardKind
from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask
from core.operations import notices
from tests.unit.bot.cards import stage

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return [each.text or "" for each in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_features_stand_in_their_phases_with_arrows() -> None:
    svg = plan_svg(stage.plan())
    assert [text for text in texts(svg) if text[:2] in {"1 ", "2 "} and "task" not in text] == [
        "1 Foundation",
        "2 Release",
    ]
    root = ElementTree.fromstring(svg)
    boxes = {
        text.text: int(rect.get("y", ""))
        for rect, text in zip(
            root.iter(f"{SVG}rect"),
            [t for t in root.iter(f"{SVG}text") if t.get("class") == "name"],
            strict=True,
        )
    }
    assert boxes["Storage"] < boxes["Endpoints"] < boxes["Docs"]
    arrows = [p for p in root.iter(f"{SVG}path") if p.get("class") == "line"]
    assert len(arrows) == 1


def test_ten_features_with_long_names_are_read_at_their_own_size() -> None:
    """As wide as a card on a phone; an arrow that others imply is left out."""
    names = [f"Feature {n} with a name that needs more than one line of its box" for n in range(10)]
    features = tuple(
        PlannedFeature(name, (PlannedTask(name),), depends_on=tuple(names[:n]))
        for n, name in enumerate(names)
    )
    root = ElementTree.fromstring(plan_svg(Plan((PlannedPhase("All", features),))))
    assert root.get("width") == "336"
    lines = [t.text or "" for t in root.iter(f"{SVG}text") if t.get("class") == "name"]
    assert len(lines) == 2 * len(names)
    assert max(map(len, lines)) <= 33
    assert len([p for p in root.iter(f"{SVG}path") if p.get("class") == "line"]) == 9


def test_hostile_names_are_words_and_long_plans_stay_pictures() -> None:
    features = tuple(
        PlannedFeature(f'{n} </text><script>x</script>&"\x00', (PlannedTask(f"{n}"),))
        for n in range(200)
    )
    svg = plan_svg(Plan((PlannedPhase("<b>&", features),)))
    assert "<script" not in svg
    assert len([t for t in texts(svg) if t == "1 task"]) == MOST_FEATURES


def test_a_plan_with_dependencies_shows_its_picture(tx: Session) -> None:
    approval = stage.submit(tx, stage.begin(tx))
    tx.flush()
    while notices.tell(tx, CARDS, now=stage.NOW):
        continue
    shown = stage.card(tx, CardKind.PLAN).pictures
    assert [picture.url for picture in shown] == [f"/api/pictures/plan/{approval.subject_id}.svg"]
    assert shown[0].alt.startswith("Dependencies of 2 phases, 3 features, 5 tasks")
    drawn = plan.picture(tx, approval.subject_id)
    assert drawn is not None
    assert "Endpoints" in texts(drawn)
    assert plan.picture(tx, 99) is None
