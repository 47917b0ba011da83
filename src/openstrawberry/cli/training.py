"""`strawberry train-dpo`, `train-sft` and `train-prm`: from a file of traces to a model folder."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openstrawberry.cli import options as o

if TYPE_CHECKING:
    from openstrawberry.training.recipe import Recipe

File = Annotated[
    Path | None, typer.Argument(help="Made by `strawberry select` (default: selected from the newest run in traces/).")
]
Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="What to train: berry, berry:DIR or hf:NAME (default: who made the run)."),
]
Out = Annotated[Path | None, typer.Option(help="Folder of the trained model (default: a new one in models/).")]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Default: by method and size of the model.")]
Epochs = Annotated[float | None, typer.Option(help="Times through the data (default: 1).")]
Steps = Annotated[int | None, typer.Option(help="Steps of the optimiser, instead of --epochs.")]
Batch = Annotated[int | None, typer.Option("--batch-size", help="Rows per step (default: 16).")]
DeviceBatch = Annotated[
    int | None, typer.Option("--per-device-batch", help="Rows at a time; the rest of a step is accumulated.")
]
MaxLength = Annotated[
    int | None, typer.Option(help="Tokens after which a trace is cut (default: the longest, to 8192).")
]
Lora = Annotated[int | None, typer.Option(help="Train a LoRA adapter of this rank, merged at the end (default: off).")]
Mix = Annotated[
    list[str] | None, typer.Option(help="Ordinary conversations to mix in, as FILE:SHARE; may be given again.")
]
Seed = Annotated[int | None, typer.Option(help="Order of the data (default: 0).")]
SaveEvery = Annotated[int | None, typer.Option(help="Steps between checkpoints (default: 50).")]
Probe = Annotated[str | None, typer.Option(help="Problems to play during training, for a pass rate and an early stop.")]
ProbeEvery = Annotated[int | None, typer.Option(help="Steps between probes (default: 25).")]
Patience = Annotated[int | None, typer.Option(help="Probes without progress before training stops (default: 3).")]
Export = Annotated[str | None, typer.Option(help="onnx or none (default: onnx where the base runs on it).")]
Device = Annotated[str | None, typer.Option(help="auto (default), cpu or cuda.")]
Dry = Annotated[
    bool | None,
    typer.Option("--dry-run/--no-dry-run", help="Show three rows as the model will read them, and train nothing."),
]
BESIDE = ("dry_run", "json")  # what is shown; all other flags are settings of the training


def dpo(
    pairs: File = None,
    model: Model = None,
    out: Out = None,
    loss: Annotated[str | None, typer.Option(help="sigmoid (DPO, default), sigmoid_norm, ipo, robust or kto.")] = None,
    beta: Annotated[float | None, typer.Option(help="Pull towards the model as it was (default: 0.1).")] = None,
    sft_weight: Annotated[
        float | None, typer.Option(help="Weight of the chosen trace's own likelihood (default: 1).")
    ] = None,
    label_smoothing: Annotated[float | None, typer.Option(help="Share of wrong labels; for robust (0.1).")] = None,
    skew: Annotated[float | None, typer.Option(help="When selecting: how much more short right traces count.")] = None,
    learning_rate: Rate = None,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: Batch = None,
    per_device_batch: DeviceBatch = None,
    max_length: MaxLength = None,
    lora: Lora = None,
    mix: Mix = None,
    seed: Seed = None,
    save_every: SaveEvery = None,
    probe: Probe = None,
    probe_every: ProbeEvery = None,
    patience: Patience = None,
    export: Export = None,
    device: Device = None,
    config: o.Config = None,
    dry_run: Dry = None,
    json: o.Json = None,
) -> None:
    """Train a model to prefer right traces over wrong ones (DPO), and short right ones most.

    Bare, it selects pairs from the newest run and trains the model that made it. A killed training goes on from its
    last checkpoint when the command is given again.
    """
    _command("dpo", dict(locals()))


def sft(
    conversations: File = None,
    model: Model = None,
    out: Out = None,
    learning_rate: Rate = None,
    epochs: Epochs = None,
    steps: Steps = None,
    batch_size: Batch = None,
    per_device_batch: DeviceBatch = None,
    max_length: MaxLength = None,
    lora: Lora = None,
    mix: Mix = None,
    seed: Seed = None,
    save_every: SaveEvery = None,
    probe: Probe = None,
    probe_every: ProbeEvery = None,
    patience: Patience = None,
    export: Export = None,
    device: Device = None,
    config: o.Config = None,
    dry_run: Dry = None,
    json: o.Json = None,
) -> None:
    """Train a model on right traces (supervised; STaR's step).

    Bare, it selects the right traces of the newest run and trains the model that made it. A killed training goes on
    from its last checkpoint when the command is given again.
    """
    _command("sft", dict(locals()))


def prm(
    steps: File = None,
    model: Model = None,
    out: Out = None,
    labels: Annotated[
        str | None,
        typer.Option(help="soft (default: the share of rollouts that came out right) or hard (whether any)."),
    ] = None,
    heldout: Annotated[
        float | None, typer.Option(help="Share of the problems kept back to measure the result (default: 0.1).")
    ] = None,
    learning_rate: Rate = None,
    epochs: Epochs = None,
    steps_: Annotated[int | None, typer.Option("--steps", help="Steps of the optimiser, instead of --epochs.")] = None,
    batch_size: Batch = None,
    per_device_batch: DeviceBatch = None,
    max_length: MaxLength = None,
    lora: Lora = None,
    seed: Seed = None,
    save_every: SaveEvery = None,
    device: Device = None,
    config: o.Config = None,
    dry_run: Dry = False,
    json: o.Json = False,
) -> None:
    """Train a process reward model: how likely is a step to lead to a right answer? `--prm` scores steps with it.

    Bare, it selects labelled steps from the newest run and trains the model that made it. A killed training goes on
    from its last checkpoint when the command is given again.
    """
    flags = dict(locals())
    flags["rows"], flags["steps"] = flags.pop("steps"), flags.pop("steps_")
    _command("prm", flags)


FILES = {"dpo": "pairs", "sft": "conversations", "prm": "rows"}  # what each command calls its file


def _command(method: Literal["dpo", "sft", "prm"], flags: dict[str, Any]) -> None:
    from openstrawberry.cli.trained import open_view
    from openstrawberry.config import load_settings, load_switches
    from openstrawberry.training.loading import require_packages
    from openstrawberry.training.prm import RewardTraining
    from openstrawberry.training.recipe import Recipe, out_or_new
    from openstrawberry.training.train import Training

    require_packages()
    file, model, out = flags.pop(FILES[method]), flags.pop("model"), flags.pop("out")
    shown = load_switches(flags["config"], {name: flags.pop(name) for name in BESIDE})
    view, skew = open_view(shown["json"]), flags.pop("skew", None)
    flags["mix"] = tuple(flags["mix"]) if flags.get("mix") else None
    recipe = load_settings(Recipe, flags.pop("config"), {**flags, "method": method}, BESIDE)
    made_by = ""
    if file is None:
        file, made_by = _selected(method, recipe, skew, view.say)
    model = model or made_by or "berry"
    out = out_or_new(out, Path("models"), f"{_short(model)}-{method}")
    view.say(f"strawberry train-{method} {file} --model {model} --out {out}")
    training = (RewardTraining if method == "prm" else Training)(recipe, model, file, view.hear)
    if shown["dry_run"]:
        view.previews(training.previews())
        return
    view.start(training)
    try:
        trained = training.run(out)
    finally:
        view.stop()
    view.finish(trained)


def _selected(method: str, recipe: "Recipe", skew: float | None, say: Any) -> tuple[Path, str]:
    """Selects from the newest run: (file, spec of the model that made the run)."""
    from openstrawberry.config import load_settings
    from openstrawberry.selection.options import Selecting
    from openstrawberry.selection.select import select
    from openstrawberry.store.reading import newest, read_run
    from openstrawberry.wording import counted

    run = newest(Path("traces"))
    form = "kto" if method == "dpo" and recipe.loss == "kto" else {"dpo": "trl", "sft": "sft", "prm": "prm"}[method]
    options = load_settings(Selecting, None, {"format": form})
    found = select([run], options if skew is None else options.model_copy(update={"skew": skew}))
    files = {"trl": "pairs.jsonl", "kto": "labelled.jsonl", "sft": "conversations.jsonl", "prm": "steps.jsonl"}
    file = run / files[form]
    found.write(file)
    say(f"strawberry select {run} --format {form} --out {file}   # {counted(len(found), 'row')}")
    return file, str(read_run(run).get("identity", {}).get("model", ""))


def _short(model: str) -> str:
    name = model.rstrip("/").replace(":", "/").rpartition("/")[2]
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name) or "model"
