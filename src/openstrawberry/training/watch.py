"""What one sees of a training, and what may end it early.

Reward margins are no sign of success: a preference loss can be at its minimum while the model is destroyed. So what is
shown is the log-probability of chosen and rejected traces, and what decides is a pass rate: every so many steps a few
held-out problems are played, the best weights so far are kept, and training ends when they are not beaten any more.
"""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback

from openstrawberry.training.progress import Notice, Play, Probed, Progress, Step, Tell


class Watch(TrainerCallback):  # type: ignore[misc]
    """Tells progress, appends it to a log, probes, and keeps the best weights."""

    def __init__(self, tell: Tell, log: Path, play: Play | None, every: int, patience: int, best: Path) -> None:
        self._tell = tell
        self._log = log
        self._play = play
        self._every = every
        self._patience = patience
        self.best = best
        self._began = time.monotonic()
        self._first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Starts the clock; a resumed training counts its own steps only."""
        self._began, self._first = time.monotonic(), state.global_step
        rights = {step: count for step, count in self._read().items() if step <= state.global_step}
        self._scores.write_text(json.dumps(rights))  # what comes after the checkpoint is played again

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        """One line of progress."""
        if "loss" not in logs:
            return
        seconds = time.monotonic() - self._began
        done = max(state.global_step - self._first, 1)
        self._note(
            Step(
                step=state.global_step,
                steps=state.max_steps,
                loss=float(logs["loss"]),
                chosen=float(logs.get("logps/chosen", "nan")),
                rejected=float(logs.get("logps/rejected", "nan")),
                seconds=round(seconds, 1),
                eta_s=round(seconds / done * (state.max_steps - state.global_step), 1),
            )
        )

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Probes when it is time; the last step always."""
        last = state.global_step >= state.max_steps
        if self._play is None or not (last or state.global_step % self._every == 0):
            return
        right, problems = self._play(model)
        self._note(Probed(state.global_step, right, problems))
        rights = self._read()
        if right > max(rights.values(), default=-1):
            model.save_pretrained(self.best)
        rights[state.global_step] = right
        self._scores.write_text(json.dumps(rights))
        best = min(step for step, count in rights.items() if count == max(rights.values()))
        if sum(step > best for step in rights) >= self._patience and not last:
            self._note(Notice(f"Stopped at step {state.global_step}: the held-out pass rate no longer rises."))
            control.should_training_stop = True

    @property
    def _scores(self) -> Path:
        return self.best.with_suffix(".json")

    def _read(self) -> dict[int, int]:
        """What was right at each probed step."""
        try:
            return {int(step): int(count) for step, count in json.loads(self._scores.read_text()).items()}
        except (OSError, ValueError):
            return {}

    def _note(self, progress: Progress) -> None:
        with self._log.open("a", encoding="utf-8") as out:
            out.write(json.dumps({"kind": type(progress).__name__, **asdict(progress)}) + "\n")
        self._tell(progress)


def silence(trainer: Any) -> None:
    """Takes away the trainer's own printing."""
    trainer.remove_callback(PrinterCallback)
