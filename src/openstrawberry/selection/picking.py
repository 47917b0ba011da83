"""One problem at a time: its samples are read, put into pairs or taken singly, and let go."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path as File

from openstrawberry.errors import SetupError
from openstrawberry.prompts import load_prompts
from openstrawberry.selection.candidates import Candidate, Group, Pick, Said, Single, Source, candidate, read, said
from openstrawberry.selection.clean import Duplicates
from openstrawberry.selection.difficulty import LEARNT, PassRate
from openstrawberry.selection.labels import Path, Told, ended, has_values, overlaid, paths
from openstrawberry.selection.options import WRONG_TOO, Selecting
from openstrawberry.selection.pairs import trace_pairs
from openstrawberry.selection.report import Account
from openstrawberry.selection.siblings import grow, leaves, step_pairs
from openstrawberry.selection.steps import Guard
from openstrawberry.store.reading import Shelf
from openstrawberry.strategies.catalogue import open_strategy
from openstrawberry.trace import Trace

Row = Pick | Single


class Picker:
    """The rules of one selection, and the texts it has taken so far.

    Args:
        shelves: the runs.
        guard: which right traces may be learnt from.
        account: told of everything that is left out.
    """

    def __init__(self, shelves: Sequence[Shelf], options: Selecting, guard: Guard, account: Account) -> None:
        self.shelves, self.options, self.guard, self.account = shelves, options, guard, account
        # A good and a bad path of one problem differ in a step or two: next to each other they are no copies.
        copies = Duplicates(options.near)
        self.copies = {True: copies, False: Duplicates(options.near) if options.format == "prm" else copies}
        self.sure = frozenset(text for shelf in shelves for text in sure_texts(shelf))
        self.checked = [asks_the_answer(shelf) for shelf in shelves]

    def picks(self, group: Group, rate: PassRate) -> list[Row]:
        """What becomes a row of one problem's samples, the most telling first; at most `per_problem` of each kind."""
        if self.options.format == "prm":
            return self._labelled(group, rate)
        if useless := rate.other + rate.void - rate.hinted:
            self.account.traces["unfinished, unknown or failed: never learnt from"] += useless
        if why := self._unfit(rate):
            self.account.problems[why] += 1
            return []
        offered = read(self.shelves, group)
        found = [(one, trace) for one, trace in offered if self._admits(one)]
        enough = found if self.options.format == "kto" else [one for one, _ in found if one.kind in LEARNT]
        if not enough:
            composed = not self.options.composed and any(one.composed for one, _ in offered)
            self.account.problems["with composed traces only" if composed else "without a clean right trace"] += 1
            return []
        return self._new(self._offered(group, found))

    def _labelled(self, group: Group, rate: PassRate) -> list[Row]:
        """The paths with step labels; of a search it counts what its steps are worth, not how its trace ended."""
        if self.options.in_band_only and not self.options.band.holds(rate):
            self.account.problems["outside the band"] += 1
            return []
        offered, why = self._labels(group)
        if not offered:
            self.account.problems[why] += 1
            return []
        rows = []
        for one, trace, path in sorted(offered, key=lambda each: each[2].rank):
            source = Source(one.source.shelf, one.source.entry, path.leaf, len(path.values))
            good = path.values[-1] > 0
            row = Single(group.problem, group.size, source, good, path.given, path.values, path.visits)
            rows.append((row, _text(group, said(trace, path.turns[path.given :]))))
        return self._new(rows)

    def _labels(self, group: Group) -> tuple[list[tuple[Candidate, Trace, Path]], str]:
        """Every path with labels, and where there is none why not."""
        found: list[tuple[Candidate, Trace, Path]] = []
        samples: list[Told] = []
        why = "valued without the known answer"
        for shelf, entry in group.members:
            trace = self.shelves[shelf].read(entry)
            one = candidate(shelf, entry, trace)
            if not has_values(trace):
                samples.append((one, trace))
            elif not self.checked[shelf]:
                self.account.traces["valued without the known answer"] += 1
            else:
                found += [(one, trace, path) for path in paths(trace)]
                why = "without any step of worth"
        told = ended(samples)
        if useless := len(samples) - len({one.source.entry.id for one, _ in told}):
            self.account.traces["unfinished, unknown or failed: never learnt from"] += useless
        one_sided = self._one_sided(told) if samples else ""
        return (found, one_sided) if one_sided else ([*found, *overlaid(told)], why)

    def _one_sided(self, told: Sequence[Told]) -> str:
        """Why samples give no labels; "" where they do. A problem with one outcome only tells how hard it is."""
        kinds = {one.kind for one, _ in told}
        if "right" not in kinds:
            return "never right" if kinds else "without a sample that could be judged"
        return "always right" if "wrong" not in kinds and self.options.band_only is not False else ""

    def _unfit(self, rate: PassRate) -> str:
        """Why nothing can be learnt from a problem with this pass rate; "" where something can."""
        options = self.options
        if not rate.judged:
            return "without a sample that could be judged"
        if not rate.right + (rate.hinted if options.hinted else 0) and options.format != "kto":
            return "never right"
        tried = rate.wrong or (rate.hinted and options.unit != "trace")  # a hinted trace holds its own wrong try
        if options.paired and not tried:
            return "always right" if not rate.other else "right or unfinished, never wrong"
        return "outside the band" if options.in_band_only and not options.band.holds(rate) else ""

    def _admits(self, one: Candidate) -> bool:
        """Whether a trace may stand in a row; where single steps are judged, whole traces need not be clean."""
        single = self.options.unit != "trace" and self.guard.told and one.clean is not None
        if one.composed and not self.options.composed:
            self.account.traces["composed by their strategy"] += 1
            return False
        if one.kind == "hinted" and not self.options.hinted:
            self.account.traces["right, but hinted"] += 1
            return False
        admitted = one.kind == "wrong" or single or self.guard.admits(one.clean)
        if not (admitted and one.ends_in_a_reply):
            self.account.traces["right, but not clean" if not admitted else "without a last reply"] += 1
        return admitted and one.ends_in_a_reply

    def _offered(self, group: Group, found: Sequence[tuple[Candidate, Trace]]) -> Iterator[tuple[Row, str]]:
        """Every possible row with its own text, the one to take first first."""
        options = self.options
        right = [one for one, _ in found if one.kind in LEARNT]
        wrong = [one for one, _ in found if one.kind == "wrong"]
        if not options.paired:
            yield from self._singles(group, right, label=True)
            if options.format == "kto":
                yield from self._singles(group, wrong, label=False)
        elif options.unit == "trace":
            flat = options.rendering == "flat"
            for pick, good, bad in trace_pairs(group.problem, group.size, right, wrong, options.skewed, flat):
                yield pick, _text(group, good.turns[pick.prompt :], bad.turns[pick.prompt :])
        else:
            known = self.guard.told and (options.unit == "correction" or options.clean is not False)
            tree = grow([leaf for one, trace in found for leaf in leaves(one, trace)])
            question = group.question
            steps = step_pairs(
                question, group.problem, group.size, tree, options.unit, self.sure, known, options.skewed
            )
            for pick, *turns in steps:
                yield pick, _text(group, turns)

    def _singles(self, group: Group, found: Sequence[Candidate], label: bool) -> Iterator[tuple[Row, str]]:
        """Traces by themselves: shortest right and longest wrong first where the selection is skewed."""
        sign = (1 if label else -1) if self.options.skewed else 0
        for one in sorted(found, key=lambda each: sign * each.source.steps):
            yield Single(group.problem, group.size, one.source, label, one.given), _text(group, one.turns)

    def _new(self, offered: Iterable[tuple[Row, str]]) -> list[Row]:
        taken: dict[bool, list[Row]] = {True: [], False: []}
        any_offered = False
        for row, text in offered:
            any_offered = True
            side = taken[row.label if isinstance(row, Single) else True]
            if len(side) >= self.options.per_problem:
                if self.options.format not in WRONG_TOO:
                    break
                continue
            copy = self.copies[row.label if isinstance(row, Single) else True].add(text)
            if copy == "new":
                side.append(row)
            else:
                self.account.rows[f"{copy} copies of another row"] += 1
        kept = taken[True] + taken[False]
        if not kept:
            self.account.problems["copies of other rows" if any_offered else self._no_pair()] += 1
        return kept

    def _no_pair(self) -> str:
        if self.options.unit == "trace":
            return "without traces of the same beginning"
        return "without two replies to the same conversation"


def asks_the_answer(shelf: Shelf) -> bool:
    """Whether the known answer decided the values that a run's strategy left on its nodes."""
    identity = shelf.run.get("identity", {})
    try:
        return open_strategy(str(identity.get("strategy")), identity.get("options") or {}).checks_steps
    except SetupError:  # the strategy is gone
        return False


def sure_texts(shelf: Shelf) -> list[str]:
    """The wordings of "are you sure?" that a run's strategy draws from, or one that worked for it; it may have none."""
    identity, config = shelf.run.get("identity", {}), shelf.run.get("config", {})
    strategy, _, name = str(identity.get("prompts", "")).partition("/")
    folder = config.get("prompts")
    try:
        uses = open_strategy(strategy, config.get("options") or {}).uses
        prompts = load_prompts(strategy, name, File(folder) if folder else None, uses)
        pools = [each.pool("sure") for each in (prompts, *prompts.others.values()) if "sure" in each.entries]
    except SetupError:  # the strategy, or its texts, are gone
        return []
    return pools[0] if pools else []


def _text(group: Group, *sides: Sequence[Said]) -> str:
    """What a row is compared by: the question and everything that follows the prompt."""
    return "\n".join([group.question, *(content for side in sides for _, content in side)])
