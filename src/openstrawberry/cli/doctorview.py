"""How `strawberry doctor` looks: what is set up in a table, what is not in a list, and the reply records."""

import textwrap

from rich.console import Console
from rich.text import Text

from openstrawberry.cli.render import clean, json_line
from openstrawberry.doctor import Finding
from openstrawberry.store.records import Records
from openstrawberry.verifiers.levels import Level
from openstrawberry.wording import counted

SHOWN = 5  # models that are named; there may be hundreds
_INDENT = " " * 13
_STYLES = {"ready": "green", "trouble": "red"}


def show_doctor(findings: list[Finding], sandbox: tuple[Level, str], records: Records, json: bool) -> None:
    """Keys are shown as set or not, never as themselves."""
    if json:
        _say_json(findings, sandbox, records)
        return
    console = Console()
    found = [one for one in findings if one.state in _STYLES]
    console.print(_line("provider", "key", "state", "answers in", "prompt cache", "batch", style="bold"))
    for one in found:
        _show(console, one)
    absent = [one for one in findings if one.state not in _STYLES]
    if absent:
        console.print()
        console.print(Text("not set up", "bold"))
    for one in absent:
        said = _advice(one) if one.state == "not running" else one.detail
        _print(console, f"{one.provider.name:<12} ", f"{one.state}: {said}", "dim")
    console.print()
    for line in _sandbox(*sandbox, console.width):
        console.print(line, soft_wrap=True)
    console.print(_records(records))


def _show(console: Console, one: Finding) -> None:
    provider = one.provider
    key = "set" if provider.key_set else "missing" if provider.key_needed else "-"
    latency = f"{one.latency_s:.2f} s" if one.latency_s is not None else ""
    batch = "yes" if provider.batch else "-"
    line = _line(provider.name, key, one.state, latency, provider.cache or "-", batch)
    line.stylize(_STYLES[one.state], 22, 34)
    console.print(line)
    if one.detail:
        _print(console, _INDENT, one.detail, "red")
    if one.models:
        more = f" and {len(one.models) - SHOWN:,} more" if len(one.models) > SHOWN else ""
        _print(console, _INDENT, ", ".join(one.models[:SHOWN]) + more, "dim")
    if one.limits:
        left = ", ".join(f"{name} {left}" for name, left in one.limits.items())
        _print(console, _INDENT, f"left now: {left}", "dim")


def _line(name: str, key: str, state: str, latency: str, cache: str, batch: str, style: str = "") -> Text:
    return Text(f"{name:<12} {key:<8} {state:<11} {latency:>10}  {cache:<13} {batch}".rstrip(), style)


def _print(console: Console, head: str, text: str, style: str) -> None:
    """`text` behind `head`, and below itself where it is long."""
    lines = textwrap.wrap(clean(text), console.width - len(_INDENT), break_on_hyphens=False) or [""]
    for at, line in enumerate(lines):
        console.print(Text.assemble(_INDENT if at else head, (line, style)), soft_wrap=True)


def _advice(one: Finding) -> str:
    """The part of the sentence that says what to do; that nothing answered says the state."""
    return one.provider.unreachable or one.detail


def _sandbox(level: Level, missing: str, width: int) -> list[Text]:
    """How code of models is contained: one line where it is well, and what is missing where it is not."""
    if level == "none":
        return [Text(line, "red") for line in textwrap.wrap(missing, width)]
    head = f"Code that models write is contained by {level} (verifier code)."
    return [
        Text(head, "" if not missing else "yellow"),
        *(Text(line, "yellow") for line in textwrap.wrap(missing, width)),
    ]


def _records(records: Records) -> Text:
    if not records.runs or records.oldest is None or records.newest is None:
        return Text(f"No reply records in {records.home}.")
    first, last = (moment.astimezone().strftime("%Y-%m-%d %H:%M") for moment in (records.oldest, records.newest))
    runs = counted(records.runs, "run")
    when = f"from {first}" if first == last else f"from {first} to {last}"
    return Text(f"Reply records of {runs} in {records.home}: {_size(records.bytes)}, {when}.")


def _size(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return counted(count, "byte")


def _say_json(findings: list[Finding], sandbox: tuple[Level, str], records: Records) -> None:
    for one in findings:
        provider = one.provider
        json_line(
            event="provider",
            name=provider.name,
            state=one.state,
            key_set=provider.key_set,
            base_url=provider.base_url,
            models=list(one.models),
            detail=one.detail,
            asked=one.asked,
            latency_s=None if one.latency_s is None else round(one.latency_s, 3),
            cache=provider.cache,
            batch=provider.batch,
            limits=dict(one.limits),
        )
    json_line(event="sandbox", level=sandbox[0], detail=sandbox[1])
    json_line(
        event="records",
        path=str(records.home),
        runs=records.runs,
        bytes=records.bytes,
        oldest=records.oldest.isoformat() if records.oldest else "",
        newest=records.newest.isoformat() if records.newest else "",
    )
