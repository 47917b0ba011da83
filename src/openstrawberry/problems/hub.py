"""The problem source `hub:owner/name[:config[:split]]`: data sets of the Hugging Face Hub, streamed.

Nothing is downloaded but what is read. Without a split the first of `test`, `validation` and `train` that exists is
read; the data set's own order is kept. The Hub is asked once, for a few seconds, whether it has the data set: only then
`datasets` goes to work, which would try again and again where there is no network.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import httpx2

from openstrawberry.errors import SetupError, UsageError
from openstrawberry.problems.problem import Problem
from openstrawberry.problems.rows import Reshape, Row, to_problems
from openstrawberry.problems.source import Request

SPLITS = ("test", "validation", "train")
TIMEOUT = 10.0  # seconds in which the Hub must say that it has a data set


def hub_problems(request: Request, reshape: Reshape | None = None) -> Iterator[Problem]:
    """The problems in the data set that `request.place` names.

    Raises:
        SetupError: `datasets` is missing, the data set, config or split cannot be had, or a row is bad.
    """
    parts = [part.strip() for part in request.place.split(":")]
    if not 1 <= len(parts) <= 3 or not all(parts) or parts[0].count("/") != 1:
        raise UsageError(
            f"hub:{request.place} names no data set: write hub:owner/name, hub:owner/name:config "
            "or hub:owner/name:config:split."
        )
    path, config, split = (*parts, "", "")[:3]
    yield from to_problems(hub_rows(path, config, split), request, f"hub:{request.place}", reshape)


def hub_rows(path: str, config: str = "", split: str = "") -> Iterator[Row]:
    """The rows of one split of a data set: a name on the Hub, or a folder that holds one.

    Raises:
        SetupError: `datasets` is missing, or the data set, config or split cannot be had.
    """
    try:
        import datasets
    except ImportError as error:
        raise SetupError(
            "Problems from hub: need the package datasets; install it with: pip install 'openstrawberry[hub]'"
        ) from error
    name = ":".join(filter(None, (path, config)))
    if not Path(path).is_dir():
        _ask_for(path)
    try:
        splits: Any = datasets.load_dataset(path, config or None, streaming=True)
        split = split or next((known for known in SPLITS if known in splits), next(iter(splits)))
        if split not in splits:
            raise UsageError(f"{name} has no split {split!r}: choose one of {', '.join(splits)}.")
        for number, fields in enumerate(splits[split], 1):
            yield Row(f"{split} row {number}", fields)
    except (OSError, ValueError, RuntimeError) as error:
        raise SetupError(f"The data set {name} cannot be read: {_why(error)}") from error


def _ask_for(path: str) -> None:
    """Asks the Hub once whether it has a data set and lets us read it. Where the Hub is not to be asked, nothing is.

    Raises:
        SetupError: it has none, nobody may read it, or no answer comes.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError

    try:
        HfApi().dataset_info(path, timeout=TIMEOUT)
    except OfflineModeIsEnabled:  # HF_HUB_OFFLINE: `datasets` looks into its cache
        return
    except GatedRepoError as error:
        raise SetupError(
            f"The data set {path} is not open to everybody: ask for access on its page, and set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise SetupError(
            f"The Hub has no data set {path} that you may read: check the name, or set HF_TOKEN where it is private."
        ) from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        raise SetupError(
            f"The Hub does not give the data set {path} now (status {status}): try again later."
        ) from error
    except ValueError as error:
        raise UsageError(f"{path!r} is no name of a data set: write hub:owner/name.") from error
    except (OSError, httpx.HTTPError, httpx2.HTTPError) as error:
        raise SetupError(
            f"The Hub cannot be reached for the data set {path}: check the network, set HF_HUB_OFFLINE=1 if it was "
            "read here before, or download it and give the path of a file."
        ) from error


def _why(error: Exception) -> str:
    """One sentence of what `datasets` says, and what to do; its own messages run over many lines."""
    text = " ".join(str(error).split())[:300]
    if "OfflineMode" in text:
        return "HF_HUB_OFFLINE is set and it was never read here: unset it, or give the path of a file."
    if "gated" in text or "401" in text or "403" in text:
        return f"{text} Ask for access on its page, and set HF_TOKEN."
    if "onfig name is missing" in text or "BuilderConfig" in text:
        return f"{text} Name a config: hub:owner/name:config."
    return f"{text} Check the name and the network, or download it and give the path of a file."
