"""Opens the embedded model, and other checkpoints of its architecture: `berry`, `berry:FOLDER`."""

from pathlib import Path

from openstrawberry.models.model import Model
from openstrawberry.models.provider import Opening


def open_berry(opening: Opening) -> Model:
    """The model that ships with the package, or the one in the folder that the spec names."""
    from openstrawberry.models.providers.berry import BerryModel

    return BerryModel(Path(opening.name).expanduser() if opening.name else None, spec=opening.spec)
