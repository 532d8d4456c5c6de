"""Commands that decide or end something, said in words: first asked back with their button."""

from sqlalchemy.orm import Session

from bot.cards import forms
from bot.cards.rendering import button
from bot.commands.command import Call, Reply
from core.domain.cards import BUTTONS, Button, Form, Label, Style, Subject
from core.domain.lifecycle import ApprovalKind
from core.domain.markup import COMMAND
from core.operations import approvals
from core.views import phases, tasks

_COUNTS = "Said in words, it counts once it is pressed."


def _back(call: Call, question: str, *buttons: Button, more: str = "") -> Reply:
    return Reply(
        title=question,
        body="\n".join(line for line in (_COUNTS, more) if line),
        buttons=buttons,
        private=True,
        project=call.here,
    )


def approve(tx: Session, call: Call) -> Reply:
    return _decision(tx, call, "Approve", Label.APPROVE, None)


def reject(tx: Session, call: Call) -> Reply:
    form = forms.proposing(forms.REASON, call.values["reason"])
    return _decision(tx, call, "Reject", Label.REJECT, form)


def _decision(tx: Session, call: Call, text: str, label: Label, form: Form | None) -> Reply:
    approval = approvals.shown(tx, call.here.id, call.place, person=call.person, now=call.now)
    what = f"plan {approval.version}"
    if approval.kind is ApprovalKind.GATE:
        phase = phases.phase(tx, approval.project_id, approval.subject_id)
        what = f"the gate of phase {phase.position} {phase.name}"
    style = Style.PRIMARY if label is Label.APPROVE else Style.DEFAULT
    press = button(text, label, Subject(approval.kind.value), approval.id, style=style, form=form)
    return _back(call, f"{text} {what} of {call.here.name}?", press)


def stop(_tx: Session, call: Call) -> Reply:
    name, number = call.here.name, call.here.id
    press = button("Stop", Label.STOP, Subject.PROJECT, number, form=forms.stop(name))
    return _back(call, f"Stop {name}?", press)


def stop_after(_tx: Session, call: Call) -> Reply:
    name, number = call.here.name, call.here.id
    form = forms.stop_after(name)
    press = button("Stop", Label.STOP, Subject.PROJECT, number, more=forms.AFTER_FEATURE, form=form)
    return _back(call, form.title, press)


def archive(_tx: Session, call: Call) -> Reply:
    name, number = call.here.name, call.here.id
    press = button("Archive", Label.ARCHIVE, Subject.PROJECT, number, form=forms.archive(name))
    return _back(call, f"Archive {name}?", press)


def skip(tx: Session, call: Call) -> Reply:
    numbers = [int(number) for number in call.values["n"].split()]
    found = [tasks.task(tx, call.here.id, number) for number in numbers]
    alone = len(found) == 1
    presses = [
        button(
            "Skip" if alone else f"Skip {task.id}",
            Label.SKIP, Subject.TASK, task.id, more=str(call.here.id),
        )
        for task in found[:BUTTONS]
    ]  # fmt: skip
    listed = ", ".join(map(str, numbers))
    more = f"`{COMMAND} skip {' '.join(map(str, numbers))}` skips them all."
    question = f"Skip task {listed} {found[0].name}?" if alone else f"Skip tasks {listed}?"
    return _back(call, question, *presses, more="" if alone else more)


def vouch(tx: Session, call: Call) -> Reply:
    task = tasks.task(tx, call.here.id, call.number("n"))
    form = forms.proposing(forms.VOUCH, call.values["reason"])
    press = button("Pass", Label.PASS, Subject.TASK, task.id, more=str(call.here.id), form=form)
    return _back(call, f"Pass task {task.id} {task.name} without a proof?", press)
