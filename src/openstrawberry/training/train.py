"""One training from files to a model folder: the story behind `train-dpo` and `train-sft` (`prm.py` adds `train-prm`).

A killed training goes on from its last checkpoint when the same command is given again; the folder it writes appears
whole or not at all.
"""

import contextlib
import hashlib
import json
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from openstrawberry.errors import SetupError
from openstrawberry.models.rendering import Renderer, Rewritten
from openstrawberry.store.lock import lock
from openstrawberry.training import card, data, hardware, loading, memory, weights
from openstrawberry.training.preview import Preview, pieces, sequences
from openstrawberry.training.probe import open_probe
from openstrawberry.training.progress import Notice, Tell, Trained
from openstrawberry.training.recipe import Recipe
from openstrawberry.wording import cause

DEFAULT_LENGTH = 8192
"""Tokens after which traces are cut unless --max-length says more; memory grows with it."""


class Training:
    """One training, ready to start: files read, rows encoded, memory checked. Nothing has been written yet.

    Args:
        model: the spec of the model to train (`berry`, `berry:DIR`, `hf:NAME`).
        file: pairs, labelled rows (KTO) or conversations.
        tell: hears of progress.

    Raises:
        SetupError: a package, file, model or machine does not fit.
    """

    def __init__(self, recipe: Recipe, model: str, file: Path, tell: Tell) -> None:
        loading.require_packages()
        self.recipe = recipe
        self.model = model
        self.place = weights.place_of(model)
        self._file = file
        self._tell = tell
        self.hardware = hardware.find(recipe)
        self.tokenizer = loading.tokenizer(self.place, model)
        self.renderer = Renderer(self.tokenizer, model)
        self.source = self._read()
        self.rows, lengths = self._encoded()
        self.longest = max(lengths)
        self._sketch = loading.sketch(self.place, model, self._auto(), **self.SETTINGS)
        self._parameters = sum(p.numel() for p in self._sketch.parameters())
        self.max_length = self._limit()
        self._warn_of_cuts(lengths)
        if recipe.method != "dpo":  # trl cuts pairs, but takes tokenised conversations as they are
            self.rows = [{name: tokens[: self.max_length] for name, tokens in row.items()} for row in self.rows]
        light = self.light and not recipe.lora  # an adapter has no step graph until it is merged
        self._play = open_probe(recipe.probe, light, model, self.tokenizer, self.problems) if recipe.probe else None

    def run(self, out: Path) -> Trained:
        """Trains, or goes on, and writes the folder `out`.

        Raises:
            SetupError: `out` exists, or the training would not fit into memory.
        """
        if out.exists():
            raise SetupError(f"{out} exists: choose another folder with --out, or delete it.")
        work = out.with_name(out.name + ".work")
        self._claim(work)
        with lock(work):
            return self._run(work, out)

    def _run(self, work: Path, out: Path) -> Trained:
        began = time.monotonic()
        trainer, watch = self._trainer(work)
        with loading.explained(self.hardware.device):
            result = trainer.train(resume_from_checkpoint=_newest_checkpoint(work))
        seconds = time.monotonic() - began
        metrics = {"loss": round(float(result.training_loss), 4), **_last_logs(trainer.state.log_history)}
        metrics |= self._measured(trainer)
        steps = int(trainer.state.global_step)
        spec = self._save(trainer.model, watch, work, out, {"steps": steps, "seconds": seconds, "metrics": metrics})
        shutil.rmtree(work, ignore_errors=True)
        return Trained(out, spec, self.model, steps, seconds, metrics)

    def previews(self, count: int = 3) -> list[Preview]:
        """The first rows, as `--dry-run` shows them."""
        return [
            Preview(number, side, pieces(self.tokenizer, ids, learn))
            for number, row in enumerate(self.rows[:count], start=1)
            for side, ids, learn in sequences(row)
        ]

    @property
    def light(self) -> bool:
        """Whether the result gets a step graph for the light runtime."""
        if self.recipe.export is not None:
            return self.recipe.export == "onnx"
        return weights.runs_light(self.place)

    # What a training of another kind does differently.

    SETTINGS: ClassVar[dict[str, Any]] = {}
    """Of the model's configuration, beyond what stands in it."""
    TASK: ClassVar[str] = "CAUSAL_LM"
    """What peft calls this kind of model."""
    HEADS: ClassVar[list[str] | None] = None
    """Layers that are trained whole and get no adapter."""

    def _auto(self) -> Any:
        """The transformers class that opens this kind of model."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def _measured(self, trainer: Any) -> dict[str, float]:
        """What is measured once training has ended."""
        return {}

    def _spec(self, out: Path) -> str:
        """What names the result on the command line."""
        return weights.spec_of(out, self.light)

    # Before.

    def _shape(self) -> str:
        if self.recipe.method == "sft":
            return "conversations"
        first = _first_row(self._file)
        return "labelled" if self.recipe.loss == "kto" and "completion" in first else "pairs"

    def _read(self) -> list[data.Row]:
        shape = self._shape()
        rows = data.read_rows(self._file, shape)
        if self.recipe.loss == "kto" and shape == "pairs" and self.recipe.method == "dpo":
            rows = [labelled for row in rows for labelled in _as_labelled(row)]
        return rows

    def _encoded(self) -> tuple[list[data.Row], list[int]]:
        """The rows in tokens, and how long their sequences were.

        Where the model's chat template rewrites earlier turns, trl's variant of it for training takes its place, here
        and in the trained folder: what is trained is read afterwards as it was learnt.
        """
        encoder = data.Encoder(self.renderer)
        try:
            return self._encode(encoder), encoder.lengths
        except Rewritten:
            if not loading.take_training_template(self.tokenizer):
                raise
        told = f"The chat template of {self.model} renders earlier turns differently once later ones follow"
        self._tell(Notice(f"{told}: trl's variant of it for training is used, and saved with the trained model."))
        encoder.lengths.clear()
        return self._encode(encoder), encoder.lengths

    def _encode(self, encoder: data.Encoder) -> list[data.Row]:
        sft = self.recipe.method == "sft"
        kto = not sft and self.recipe.loss == "kto"
        if self.recipe.mix and not (sft or kto or self.recipe.sft_weight):
            raise SetupError("--mix has no effect with --sft-weight 0: raise the weight, or leave --mix out.")
        one = encoder.conversation if sft else encoder.labelled if kto else encoder.pair
        other = encoder.conversation if sft else encoder.wanted if kto else encoder.itself
        mixes = [data.parse_mix(text) for text in self.recipe.mix]
        read = [(data.read_rows(path, "conversations"), share) for path, share in mixes]
        everything = [*self.source, *(row for rows, _ in read for row in rows)]
        self.problems = {str(row["problem"]) for row in everything if "problem" in row}
        pools = [([other(row) for row in rows], share) for rows, share in read]
        found = data.mixed([one(row) for row in self.source], pools, self.recipe.seed)
        if kto:  # trl takes KTO's rows in order, and pairs neighbours for its reference point
            random.Random(self.recipe.seed).shuffle(found)
        return found

    def _limit(self) -> int:
        context = loading.context(self.place)
        wanted = self.recipe.max_length or min(self.longest, DEFAULT_LENGTH)
        return min(wanted, context)

    def _warn_of_cuts(self, lengths: list[int]) -> None:
        cut = [length for length in lengths if length > self.max_length]
        if cut:
            lost = sum(cut) - len(cut) * self.max_length
            self._tell(
                Notice(
                    f"{len(cut)} of {len(lengths)} traces are longer than {self.max_length} tokens and lose their ends "
                    f"({lost} tokens, the longest has {max(cut)}): raise --max-length, or select shorter traces."
                )
            )

    # The trainer.

    def _trainer(self, work: Path) -> tuple[Any, Any]:
        from transformers import set_seed

        from openstrawberry.training.trainers import open_trainer
        from openstrawberry.training.watch import Watch, silence

        lora = bool(self.recipe.lora)
        attention = self.hardware.attention(self._parameters)
        arguments = self._arguments(attention)
        with loading.quietly(work / "trl.log"), loading.explained(self.hardware.device):
            set_seed(self.recipe.seed)  # a new head begins at random
            model = self._auto().from_pretrained(
                self.place, dtype=self.hardware.dtype(lora), attn_implementation=attention, **self.SETTINGS
            )
        watch = Watch(
            self._tell,
            work / "training.jsonl",
            self._play,
            self.recipe.probe_every,
            self.recipe.patience,
            work / "best",
        )
        with loading.quietly(work / "trl.log"), loading.explained(self.hardware.device):
            trainer = open_trainer(
                self.recipe, model, self.tokenizer, self.rows, work, arguments, self._lora(), callbacks=[watch]
            )
        silence(trainer)
        return trainer, watch

    def _arguments(self, attention: str) -> dict[str, Any]:
        recipe = self.recipe
        usual = loading.device_batch(self._parameters, recipe.method)
        wanted = min(recipe.per_device_batch or usual, recipe.batch_size)
        device_batch = max(size for size in range(1, wanted + 1) if recipe.batch_size % size == 0)
        if recipe.method == "dpo" and recipe.loss == "kto" and device_batch < 2:
            raise SetupError("KTO compares the rows of a batch, so it needs two at a time: raise --per-device-batch.")
        sides = 2 if recipe.method == "dpo" else 1
        arguments = self.hardware.arguments(self._parameters)
        trained = loading.lora_parameters(self._sketch, recipe.lora) if recipe.lora else 0
        load = memory.load_of(
            self._sketch,
            device_batch * sides,
            self.max_length,
            trained,
            arguments["activation_checkpointing"],
            attention == "eager",
        )
        memory.require(load, memory.available(self.hardware.device), self.hardware.device)
        return {
            **arguments,
            "per_device_train_batch_size": device_batch,
            "gradient_accumulation_steps": recipe.batch_size // device_batch,
            "learning_rate": recipe.rate(self._parameters, bool(recipe.lora)),
            "num_train_epochs": recipe.epochs,
            "max_steps": recipe.steps or -1,
            "warmup_steps": recipe.warmup,
            "lr_scheduler_type": "linear",
            "weight_decay": 0.0,
            "max_length": self.max_length,
            "seed": recipe.seed,
            "logging_steps": 1 if len(self.rows) < 50 * recipe.batch_size else 10,
            "save_strategy": "steps",
            "save_steps": recipe.save_every,
            "save_total_limit": 2,
            "report_to": [],
            "disable_tqdm": True,
            "dataloader_num_workers": 0,
        }

    def _lora(self) -> Any:
        if not self.recipe.lora:
            return None
        from peft import LoraConfig

        rank = self.recipe.lora
        return LoraConfig(
            r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=self.HEADS, task_type=self.TASK
        )

    def _claim(self, work: Path) -> None:
        """Makes the working folder, or keeps the one of the same training."""
        identity = json.dumps(self._identity(), sort_keys=True)
        mark = work / "training.json"
        if not (mark.is_file() and mark.read_text(encoding="utf-8") == identity):
            if work.exists() and not mark.is_file():
                raise SetupError(f"{work} is in the way: move it elsewhere, or choose another folder with --out.")
            if work.exists():
                lock(work).close()  # another process may be training there
                self._tell(Notice(f"The checkpoints in {work} are of another training, and are begun anew."))
            shutil.rmtree(work, ignore_errors=True)
            try:
                work.mkdir(parents=True)
            except OSError as error:
                raise SetupError(
                    f"Cannot write to {work.parent} ({cause(error)}): choose another folder with --out."
                ) from error
            mark.write_text(identity, encoding="utf-8")

    def _identity(self) -> dict[str, Any]:
        return {"recipe": self.recipe.model_dump(mode="json"), "model": self.model, "data": self._data_hash()}

    def _data_hash(self) -> str:
        files = [self._file, *(data.parse_mix(text)[0] for text in self.recipe.mix)]
        return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()

    # After.

    def _save(self, model: Any, watch: Any, work: Path, out: Path, facts: dict[str, Any]) -> str:
        finished = work / "finished"
        shutil.rmtree(finished, ignore_errors=True)
        loading.final_weights(model, watch.best, self.place, bool(self.recipe.lora)).save_pretrained(finished)
        self.tokenizer.save_pretrained(finished)
        if self.light:
            from openstrawberry.berry.export import export_onnx

            export_onnx(finished)
        spec = self._spec(out)
        card.write(
            finished,
            {
                "base": self.model,
                "spec": spec,
                "method": self.recipe.loss if self.recipe.method == "dpo" else self.recipe.method,
                "rows": len(self.rows),
                "device": self.hardware.device,
                "data": self._data_hash(),
                "recipe": self.recipe.model_dump(mode="json"),
                **facts,
            },
            self.problems | card.trained_on(Path(self.place)),
        )
        shutil.copyfile(work / "training.jsonl", finished / "training.jsonl")
        finished.rename(out)
        return spec


def _newest_checkpoint(work: Path) -> str | None:
    """The newest checkpoint that was written to its end; its state file comes last."""
    found = [path for path in work.glob("checkpoint-*") if (path / "trainer_state.json").is_file()]
    for path in sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        with contextlib.suppress(OSError, ValueError):
            json.loads((path / "trainer_state.json").read_text())
            return str(path)
    return None


def _first_row(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            row = json.loads(next((line for line in file if line.strip()), "{}"))
    except (OSError, ValueError):
        return {}
    return row if isinstance(row, dict) else {}


def _as_labelled(row: data.Row) -> Iterator[data.Row]:
    for side, label in (("chosen", True), ("rejected", False)):
        yield {**row, "completion": row[side], "label": label}


def _last_logs(history: list[dict[str, Any]]) -> dict[str, float]:
    names = {"logps/chosen": "chosen_logp", "logps/rejected": "rejected_logp", "rewards/accuracies": "reward_accuracy"}
    last: dict[str, Any] = next((entry for entry in reversed(history) if "loss" in entry), {})
    return {ours: round(float(last[theirs]), 4) for theirs, ours in names.items() if theirs in last}
