"""How an evolution looks while it goes on: a line per new problem, a bar, and what was eliminated and why."""

import shlex
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from openstrawberry.cli.bottom import REDRAWS, drawable
from openstrawberry.cli.notices import Notices
from openstrawberry.cli.render import clean, cost_of, json_line, shorten
from openstrawberry.engine.events import Retried
from openstrawberry.evolve.book import Candidate
from openstrawberry.evolve.evolution import Done, EvolveEvent
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.evolve.config import Evolving
    from openstrawberry.evolve.evolution import Evolution
    from openstrawberry.evolve.parts import Preview
    from openstrawberry.store.summary import Summary

LINES_LIMIT = 200  # more candidates than this: only the kept ones get a line


class EvolveView:
    """Live on a terminal, plain when piped, one JSON object per line with `json`."""

    def __init__(self, json: bool) -> None:
        self._json = json
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._bar = self._progress.add_task("problems")
        self._live: Live | None = None
        self._notices = Notices(self._console)
        self._kept = 0
        self._lines = True

    def start(self, evolution: "Evolution") -> None:
        """Who does what to how many problems, and where it goes."""
        config, total = evolution.config, len(evolution.given)
        before = sum(line.round <= config.rounds for line in evolution.book.all())
        if self._json:
            json_line(
                event="evolution",
                file=str(config.file),
                work=str(config.work),
                model=config.model,
                solver=config.solver,
                target=config.target,
                problems=total,
                generated=evolution.generated,
                rounds=config.rounds,
                done=before,
            )
            return
        self._lines = total * config.rounds <= LINES_LIMIT
        head = f"{counted(total, 'problem')} × {counted(config.rounds, 'round')}"
        self._say(Text.assemble(("strawberry ", "bold red"), ("evolve ", "bold"), clean(config.problems), f" · {head}"))
        for line in _parts(config, total, evolution.generated):
            self._say(Text(clean(line), style="dim"))
        if evolution.skipped_rows:
            self._say(Text(f"{len(evolution.skipped_rows):,} rows that could not be read are left out.", "yellow"))
        if evolution.directory.resumed:
            self._say(Text(f"Going on with {config.file}: {before:,} of {total * config.rounds:,} are done."))
        self._progress.update(self._bar, total=total * config.rounds, completed=before)
        if drawable(self._console):
            self._live = Live(self._progress, console=self._console, refresh_per_second=REDRAWS)
            self._live.start()

    def hear(self, event: EvolveEvent) -> None:
        """Shows one event."""
        if self._json:
            if isinstance(event, Done):
                _tell(event)
        elif isinstance(event, Retried):
            self._notices.hear(event)
        else:
            candidate = event.candidate
            self._kept += candidate.kept
            told = f"[green]✓ {self._kept:,}[/]"
            self._progress.update(self._bar, advance=1, description=told)
            if self._lines or candidate.kept:
                self._say(_line(candidate, self._console.width))

    def stop(self) -> None:
        """Takes the live display down."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def end(self, evolution: "Evolution", summary: "Summary") -> None:
        """How many were kept, why the others were not, what it took, and what to do with it."""
        reasons = evolution.book.reasons
        kept = reasons.pop("", 0)
        if self._json:
            fields = {**vars(summary), "path": str(summary.path)}
            json_line(event="summary", file=str(evolution.config.file), kept=kept, eliminated=dict(reasons), **fields)
            return
        rows = [("kept", f"{counted(kept, 'problem')}{_answered(evolution)}")]
        if reasons:
            rows.append(("not", ", ".join(f"{count:,} {reason}" for reason, count in reasons.most_common())))
        if (tokens := summary.tokens).get("input", -1) >= 0:
            rows.append(("tokens", f"{tokens['input']:,} in, {max(tokens['output'], 0):,} out"))
        rows += [("cost", cost)] if (cost := cost_of(summary)) else []
        replayed = f", {summary.replies_replayed:,} replayed" if summary.replies_replayed else ""
        rows.append(("time", f"{summary.seconds:.1f} s ({summary.replies_asked:,} replies{replayed})"))
        rows.append(("work", f"{evolution.config.work}"))
        if kept:
            target = evolution.config.target
            rows.append(("file", f"{evolution.config.file}"))
            again = ["strawberry", "generate", "--problems", str(evolution.config.file), "--model", target]
            rows.append(("next", shlex.join(again)))
        elif not evolution.stopped and not evolution.failures:
            rows.append(
                ("next", "go on with more --rounds; or with --samples 0, which keeps any difficulty, and another --out")
            )
        self._console.print()
        for name, value in rows:
            self._say(Text.assemble((f"{name:>9}  ", "bold"), clean(value)))
        if summary.stopped:
            self._say(Text(f"Stopped early: {clean(summary.stopped)}", style="yellow"))
        elif evolution.failures:
            many = f"{len(evolution.failures):,} problems failed ({clean(summary.first_error)})"
            self._say(Text(f"{many} Run the same command to retry them.", style="red"))

    def _say(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def show_preview(config: "Evolving", found: "Preview", json: bool) -> None:
    """A dry run: the first request, and how many there would be at most."""
    if json:
        messages = [message.model_dump(include={"role", "content"}) for message in found.messages]
        calls = {part: {"model": model, "most": most} for part, (model, most) in found.calls.items()}
        json_line(event="dry-run", problems=found.problems, rounds=found.rounds, generated=found.generated,
                  messages=messages, calls=calls, most=found.most)  # fmt: skip
        return
    console = Console()
    head = f"{counted(found.problems, 'problem')} × {counted(found.rounds, 'round')}"
    console.print(Text(f"{head} · a dry run: nothing is sent"))
    for line in _parts(config, found.problems, found.generated):
        console.print(Text(clean(line), style="dim"), soft_wrap=True)
    for message in found.messages:
        console.print(Text(f"\n{message.role}", style="bold"))
        console.print(Text("  " + clean(message.content).strip().replace("\n", "\n  ")), soft_wrap=True)
    console.print()
    for part, (model, most) in found.calls.items():
        console.print(Text(f"{part:>9}  at most {most:,} calls of {clean(model)} a problem and round"), soft_wrap=True)
    console.print(Text(f"{'in all':>9}  at most {found.most:,} calls; few problems reach every stage"), soft_wrap=True)


def _parts(config: "Evolving", total: int, generated: int) -> list[str]:
    """Who does what, in sentences."""
    told = []
    if generated:
        which = "All" if generated == total else f"{generated:,}"
        told.append(
            f"{which} are made harder by the generators of their families, which compute the answers: no model writes."
        )
    if generated < total:
        share = f"{config.agree:.0%} of {config.solvers} solvers ({config.solver}, {config.solver_strategy})"
        told.append(f"{config.model} writes; an answer is known where {share} agree.")
    if config.samples:
        how = config.trying().strategy
        told.append(f"Kept is what {config.target} ({how}) solves sometimes, in up to {config.samples} tries.")
    return told


def _line(candidate: Candidate, width: int) -> Text:
    """One problem in one round: what was done, what came of it, and how the target did."""
    mark, style = ("✓", "green") if candidate.kept else ("·", "dim")
    evidence, problem = candidate.evidence, candidate.problem
    question = " ".join(clean(problem.question).split()) if problem else ""
    answer = f" = {shorten(clean(problem.answer), 20)}" if problem and problem.answer else ""
    tried = evidence.right + evidence.wrong + evidence.other
    tail = f"  {evidence.right}/{tried} right" if tried else ""
    tail = tail if candidate.kept else f"  {candidate.reason}{tail}"
    head = f"  {mark} {candidate.round} {candidate.operator:<10} "
    room = max(20, width - len(head) - len(answer) - len(tail))
    return Text.assemble((head, style), shorten(question, room), (answer, "bold"), (tail, "dim"))


def _answered(evolution: "Evolution") -> str:
    """` (12 answers computed, 3 answers agreed on)`."""
    ways = [each.evidence.answered for each in evolution.book.all() if each.kept]
    told = [
        f"{counted(ways.count(way), 'answer')} {word}"
        for way, word in (("computed", "computed"), ("agreement", "agreed on"))
        if way in ways
    ]
    return f" ({', '.join(told)})" if told else ""


def _tell(event: Done) -> None:
    candidate, problem = event.candidate, event.candidate.problem
    json_line(
        event="problem",
        id=problem.id if problem else "",
        line=candidate.line,
        parent=candidate.parent,
        round=candidate.round,
        operator=candidate.operator,
        kept=candidate.kept,
        reason=candidate.reason,
        question=problem.question if problem else "",
        answer=problem.answer if problem else "",
        evidence=candidate.evidence.model_dump(),
    )
