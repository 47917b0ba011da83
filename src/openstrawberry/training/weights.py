"""Where the weights of a model spec lie, and whether they can be trained here."""

from pathlib import Path

from openstrawberry.berry.shape import GRAPH
from openstrawberry.errors import SetupError

BERRY = Path(__file__).parents[1] / "berry" / "model"


def place_of(spec: str) -> str:
    """The folder, or the name on the hub, behind `berry`, `berry:DIR` or `hf:NAME`.

    Raises:
        SetupError: the model's weights are not on this machine.
    """
    provider, _, name = spec.partition(":")
    if provider == "berry":
        return name or str(BERRY)
    if provider == "hf" and name:
        return name
    raise SetupError(
        f"{spec} cannot be trained here, since its weights are elsewhere: name local weights with --model hf:PATH or "
        "berry, or write a file for the provider's own fine-tuning with `strawberry select --format openai`."
    )


def runs_light(place: str) -> bool:
    """Whether a model has the step graph of the light runtime, so that what is trained from it can have one too."""
    return (Path(place) / GRAPH).is_file()


def spec_of(folder: Path, light: bool) -> str:
    """The spec that runs a trained folder."""
    return f"{'berry' if light else 'hf'}:{folder}"
