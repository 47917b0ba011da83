"""How a dry run looks: the first prompt as it would be sent, and what the run would take."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from openstrawberry.cli.render import clean, dollars, json_line
from openstrawberry.wording import counted

if TYPE_CHECKING:
    from openstrawberry.estimate import Column, Estimate


def show_estimate(found: "Estimate", json: bool) -> None:
    """Shows a dry run, as one JSON object where `json` is set."""
    request = found.request
    if json:
        columns = {name: asdict(column) if column else None for name, column in _columns(found)}
        messages = [message.model_dump(include={"role", "content"}) for message in request.messages]
        json_line(
            event="dry-run",
            model=found.spec,
            roles=found.roles,
            strategy=found.strategy,
            problems=found.problems,
            samples=found.samples,
            messages=messages,
            temperature=request.temperature,
            top_p=request.top_p,
            max_tokens=request.max_tokens,
            **columns,
        )
        return
    console = Console()
    many = f"{counted(found.problems, 'problem')} × {counted(found.samples, 'sample')}"
    models = " · ".join([found.spec, *(f"{role} {spec}" for role, spec in found.roles.items())])
    console.print(Text(f"{models} · {found.strategy} · {many} · a dry run: nothing is sent"), soft_wrap=True)
    for message in request.messages:
        console.print(Text(f"\n{message.role}", style="bold"))
        console.print(Text("  " + clean(message.content).strip().replace("\n", "\n  ")), soft_wrap=True)
    sampling = "the model's own" if request.temperature is None else f"{request.temperature:g}"
    console.print(
        Text(f"\ntemperature {sampling}, at most {counted(request.max_tokens, 'token')} a reply\n", style="dim")
    )
    console.print(_table(found))
    console.print(Text(_assumed(found), style="dim"), soft_wrap=True)


def _table(found: "Estimate") -> Table:
    table = Table("", *(name for name, _ in _columns(found)))
    for column in table.columns[1:]:
        column.justify = "right"
    for field in ("requests", "input", "output"):
        name = {"input": "tokens in", "output": "tokens out"}.get(field, field)
        table.add_row(name, *(f"{getattr(column, field):,}" if column else "unknown" for _, column in _columns(found)))
    table.add_row("cost", *(_cost(column) for _, column in _columns(found)))
    return table


def _cost(column: "Column | None") -> str:
    return "unknown" if column is None or column.usd is None else dollars(column.usd)


def _columns(found: "Estimate") -> "list[tuple[str, Column | None]]":
    return [("least", found.least), ("about", found.about), ("most", found.most)]


def _assumed(found: "Estimate") -> str:
    ways = [f"{name} {column.turns:,} × {column.reply:,}" for name, column in _columns(found) if column]
    price = "" if found.least.usd is not None else " Tell the price of this model with --prices FILE."
    return (
        f"Assumed are, in turns a trace × tokens a reply: {', '.join(ways)}; four bytes of text to a token; nothing "
        f"from the provider's cache. A trace ends at its answer, so few come near the most.{price}"
    )
