"""The page as streamlit runs it: `strawberry ui` starts this script, with `--home=FOLDER`."""

import sys
from pathlib import Path

from openstrawberry.ui.frame import Place, show

HOME = next((argument.removeprefix("--home=") for argument in sys.argv if argument.startswith("--home=")), "traces")

show(Place(Path(HOME)))
