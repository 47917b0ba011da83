"""Ways to choose one answer among samples of a problem, and the tables that compare them, for `prm.py`."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from openstrawberry.evaluation.voting import ballot, majority_at_k
from openstrawberry.stats import bootstrap_mean, paired_bootstrap
from openstrawberry.trace import Trace


@dataclass(frozen=True)
class Sample:
    """One trace, and the process reward of each of its steps."""

    trace: Trace
    rewards: tuple[float, ...]


Choice = Callable[[Sequence[Sample]], float]
"""How right the choice among a problem's samples is: 0 or 1, or a share where it is left to chance."""

AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "min": min,
    "last": lambda all_: all_[-1],
    "product": prod,
}


def one(samples: Sequence[Sample]) -> float:
    return sum(each.trace.correct for each in samples) / len(samples)


def any_right(samples: Sequence[Sample]) -> float:
    return float(any(each.trace.correct for each in samples))


def majority(samples: Sequence[Sample]) -> float:
    return majority_at_k([(ballot(each.trace), each.trace.correct) for each in samples], len(samples))


def best(aggregate: str) -> Choice:
    """Best of n: the answer of the trace with the highest reward."""

    def choose(samples: Sequence[Sample]) -> float:
        answered = [each for each in samples if ballot(each.trace)]
        worth = AGGREGATES[aggregate]
        return float(bool(answered) and max(answered, key=lambda each: worth(each.rewards)).trace.correct)

    return choose


def weighted(weight: Callable[[Sequence[float]], float]) -> Choice:
    """The answer whose traces have the highest sum of weights, which are made of their rewards."""

    def choose(samples: Sequence[Sample]) -> float:
        sums: dict[str, float] = defaultdict(float)
        right: dict[str, bool] = {}
        for each in samples:
            if name := ballot(each.trace):
                sums[name] += weight(each.rewards)
                right[name] = each.trace.correct
        return float(bool(sums) and right[max(sums, key=sums.__getitem__)])

    return choose


WAYS: Mapping[str, Choice] = {
    "one sample": one,
    "majority vote": majority,
    **{f"reward-weighted vote, {name}": weighted(worth) for name, worth in AGGREGATES.items()},
    **{f"best by reward, {name}": best(name) for name in AGGREGATES},
    "control: weighted by 1 / steps": weighted(lambda rewards: 1 / len(rewards)),
    "any right (the ceiling)": any_right,
}


def report(samples: Sequence[Sample]) -> str:
    """Markdown: per way the share right at each size and pooled, and what it has over the majority vote."""
    by_problem: dict[str, list[Sample]] = defaultdict(list)
    for each in samples:
        by_problem[each.trace.problem.id].append(each)
    sizes: dict[str, list[str]] = defaultdict(list)
    for key, group in by_problem.items():
        meta = group[0].trace.problem.meta()
        sizes[f"{meta['family']} {meta['size']}"].append(key)
    found = {way: {key: choose(group) for key, group in by_problem.items()} for way, choose in WAYS.items()}
    counts = {len(group) for group in by_problem.values()}
    head = [f"of {'/'.join(map(str, sorted(counts)))} samples", *sorted(sizes), "pooled", "over the majority vote"]
    lines = [_row(head), "|" + "---|" * len(head)]
    for way, rights in found.items():
        shares = [f"{100 * sum(rights[key] for key in keys) / len(keys):.1f}" for _, keys in sorted(sizes.items())]
        pooled = bootstrap_mean(list(rights.values()), bounds=(0.0, 1.0))
        over = paired_bootstrap([value - found["majority vote"][key] for key, value in rights.items()])
        share = f"{100 * pooled.mean:.1f} ({100 * pooled.low:.1f} to {100 * pooled.high:.1f})"
        more = f"{100 * over.mean:+.1f} ({100 * over.low:+.1f} to {100 * over.high:+.1f})"
        lines.append(_row([way, *shares, share, "" if way == "majority vote" else more]))
    numbers = ", ".join(f"{name}: {len(keys)}" for name, keys in sorted(sizes.items()))
    return "\n".join(lines) + f"\n\nProblems: {numbers}."


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
