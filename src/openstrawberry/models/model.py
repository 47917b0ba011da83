"""The one protocol that every provider and every wrapper speaks."""

import re
from typing import Protocol

from openstrawberry.chat import OnDelta, Reply, Request
from openstrawberry.errors import SetupError

_ADDRESS = re.compile(r"@https?://[^,]*")
_BETWEEN = re.compile(r",\s*(?=[a-z][a-z0-9_-]*(?::|,|\s*$))")


def without_address(spec: str) -> str:
    """`provider:name` of a spec that may end in `@http://...`: a model stays itself when its server moves."""
    return _ADDRESS.sub("", spec)


def specs_in(text: str) -> tuple[str, ...]:
    """The specs in `groq:llama,cerebras:llama`; a comma inside a name or a path does not part two."""
    return tuple(part.strip() for part in _BETWEEN.split(text.strip(" ,")) if part.strip())


def no_logprobs(spec: str) -> SetupError:
    """What to say where log probabilities are asked for and `spec` has none."""
    return SetupError(
        f"{without_address(spec)} gives no log probabilities, which this strategy asks for: choose another value "
        "with --set value=..., or a model that gives them, such as one of openai, gemini, vllm or berry."
    )


class Model(Protocol):
    """A language model behind one call.

    `spec` is what the user wrote, such as `ollama:mistral:v0.3`; it names the model in traces and reply keys.
    """

    @property
    def spec(self) -> str: ...

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """Answer `request`. With `on_delta` the reply is streamed: it is called for each piece as it arrives.

        Raises:
            ProviderError: the call failed; `retryable` says whether it may be repeated.
        """
        ...

    async def close(self) -> None:
        """Release connections and memory. The model is not used afterwards."""
        ...
