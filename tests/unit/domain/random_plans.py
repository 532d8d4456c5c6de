"""Plans for properties: sound ones, and sound ones with one thing wrong."""

from hypothesis import strategies as st

from core.domain.plan import Plan, PlannedFeature, PlannedPhase, PlannedTask

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@st.composite
def sound_plans(draw: st.DrawFn, max_phases: int = 3) -> Plan:
    """A plan without a problem: dependencies only on what was named before."""
    phases: list[PlannedPhase] = []
    features: list[PlannedFeature] = []
    home: dict[str, str] = {}
    for p in range(draw(st.integers(1, max_phases))):
        mine: list[PlannedFeature] = []
        for _ in range(draw(st.integers(1, 3))):
            name = f"feature {len(features)}"
            known = [f.name for f in features]
            tasks: list[PlannedTask] = []
            for _ in range(draw(st.integers(1, 4))):
                task = f"task {len(home)}"
                waits = draw(st.lists(st.sampled_from([*home]), max_size=3)) if home else []
                tasks.append(
                    PlannedTask(
                        name=task,
                        description=draw(TEXTS),
                        steps=tuple(draw(st.lists(TEXTS, max_size=2))),
                        complexity=draw(st.integers(1, 5)),
                        checks=(f"test -f {len(home)}",),
                        depends_on=tuple(waits),
                        files=tuple(draw(st.lists(st.sampled_from("abc"), max_size=2))),
                        category=draw(st.sampled_from(["feature", "solo", "tests"])),
                    )
                )
                home[task] = name
            waits = draw(st.lists(st.sampled_from(known), max_size=2)) if known else []
            feature = PlannedFeature(
                name=name, tasks=tuple(tasks), spec=draw(TEXTS), depends_on=tuple(waits)
            )
            features.append(feature)
            mine.append(feature)
        phases.append(PlannedPhase(f"phase {p}", tuple(mine), description=draw(TEXTS)))
    return Plan(
        phases=tuple(phases),
        summary=draw(TEXTS),
        setup=tuple(draw(st.lists(st.just("pip install x"), max_size=1))),
        checks=tuple(draw(st.lists(st.just("make test"), max_size=1))),
    )
