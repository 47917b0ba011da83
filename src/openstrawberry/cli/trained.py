"""How a training looks while it goes on: live on a terminal, a line now and then when piped, JSON with `--json`."""

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from openstrawberry.cli.bottom import REDRAWS, drawable
from openstrawberry.cli.render import clean
from openstrawberry.training.progress import Grade, Notice, Probed, Share, Step
from openstrawberry.training.progress import Progress as Told
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.training.preview import Preview
    from openstrawberry.training.progress import Trained
    from openstrawberry.training.train import Training

SHOWN = ("loss", "chosen_logp", "rejected_logp", "reward_accuracy")  # of the metrics, in the last line
EVERY_S = 10.0  # seconds between lines where there is no terminal


class TrainingView(Protocol):
    """Shows a training."""

    def say(self, text: str) -> None: ...

    def previews(self, previews: "list[Preview]") -> None: ...

    def start(self, training: "Training") -> None: ...

    def hear(self, told: Told) -> None: ...

    def stop(self) -> None: ...

    def finish(self, trained: "Trained") -> None: ...


def open_view(json: bool) -> TrainingView:
    """The view that fits where the output goes."""
    return JsonTraining() if json else TextTraining(Console())


class TextTraining:
    """For people."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            refresh_per_second=REDRAWS,
        )
        self.task = self.bar.add_task("training", total=None)
        self.said = 0.0

    def say(self, text: str) -> None:
        """One plain line."""
        self.console.print(Text(text, style="dim"), soft_wrap=True)

    def previews(self, previews: "list[Preview]") -> None:
        """Rows as the model reads them; what it learns is bold on a terminal, and between ⟦ ⟧ everywhere."""
        for number, side, pieces in previews:
            which = f"row {number}" + (f", {side}" if side else "")
            shown = Text(f"--- {which}: learnt text in ⟦ ⟧\n")
            for text, learnt in pieces:
                shown.append(f"⟦{clean(text)}⟧" if learnt else clean(text), style="bold green" if learnt else "dim")
            self.console.print(shown, soft_wrap=True)

    def start(self, training: "Training") -> None:
        """What is about to be trained, on what."""
        learnt = "bf16" if training.hardware.bf16 else "fp32"
        self.console.print(
            Text.assemble(
                ("strawberry ", "bold red"),
                (training.model, "bold"),
                f" · {training.recipe.describe()} · {counted(len(training.rows), 'row')}, the longest "
                f"{counted(training.longest, 'token')} · {training.hardware.device}, {learnt}",
            ),
            soft_wrap=True,
        )
        if drawable(self.console):
            self.bar.start()

    def hear(self, told: Told) -> None:
        """Progress, a probe, or a notice."""
        if isinstance(told, Notice):
            self.console.print(Text(f"! {told.text}", style="bold yellow"), soft_wrap=True)
        elif isinstance(told, Probed):
            self.console.print(f"  step {told.step:>5}  held-out {told.right} of {told.problems} right")
        elif isinstance(told, Grade):
            self.console.print(grade_line(told), soft_wrap=True)
        else:
            self._step(told)

    def _step(self, step: Step) -> None:
        logps = "" if step.chosen != step.chosen else f" · chosen {step.chosen:.1f}, rejected {step.rejected:.1f} nats"
        self.bar.update(self.task, completed=step.step, total=step.steps, description=f"loss {step.loss:.3f}{logps}")
        due = time.monotonic() - self.said > EVERY_S or step.step in (1, step.steps)
        if not drawable(self.console) and due:
            self.said = time.monotonic()
            line = f"  step {step.step:>5} of {step.steps}  loss {step.loss:.3f}{logps}  {step.eta_s:.0f} s left"
            self.console.print(line, soft_wrap=True)

    def stop(self) -> None:
        """Takes the bar away."""
        self.bar.stop()

    def finish(self, trained: "Trained") -> None:
        """What came out, and how to try it."""
        known = {name: value for name, value in trained.metrics.items() if name in SHOWN}
        measured = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in known.items())
        rows = [
            ("trained", f"{counted(trained.steps, 'step')} in {trained.seconds:.0f} s ({measured})"),
            ("model", str(trained.folder)),
            ("next", trained.next),
        ]
        for name, value in rows:
            self.console.print(Text.assemble((f"{name:>9}  ", "bold"), value), soft_wrap=True)


def grade_line(grade: Grade) -> str:
    """How well held-out steps were told apart, in one line."""
    area = f"AUC {_share(grade.auc, '.3f')}, " if grade.auc else ""
    accuracy = f"accuracy {_share(grade.accuracy, '.1%')}"
    common = f"always the commoner label: {grade.commonest:.1%}"
    return f"  held out: {area}{accuracy}; {common}; {grade.steps:,} steps of {grade.problems:,} problems"


def _share(share: Share, form: str) -> str:
    mean, low, high = (format(each, form) for each in share)
    return f"{mean} ({low} to {high})"


class JsonTraining:
    """For programs: one object per line."""

    def say(self, text: str) -> None:
        """Nothing: what was chosen stands in the last object."""

    def previews(self, previews: "list[Preview]") -> None:
        """One object per sequence."""
        for row, side, pieces in previews:
            told = [{"text": text, "learnt": learnt} for text, learnt in pieces]
            self._print("sequence", {"row": row, "side": side, "pieces": told})

    def start(self, training: "Training") -> None:
        """What is about to be trained."""
        self._print("start", {"model": training.model, "rows": len(training.rows), "longest": training.longest})

    def hear(self, told: Told) -> None:
        """Every event."""
        self._print(type(told).__name__.lower(), asdict(told))

    def stop(self) -> None:
        """Nothing to take away."""

    def finish(self, trained: "Trained") -> None:
        """What came out."""
        self._print("trained", {**asdict(trained), "folder": str(trained.folder)})

    def _print(self, event: str, fields: dict[str, object]) -> None:
        known = {key: None if value != value else value for key, value in fields.items()}
        print(json.dumps({"event": event, **known}, ensure_ascii=False), flush=True)
