"""Turns replies that no trace can use into errors: nothing at all, or far more than was allowed.

Sits inside the retry, so that such a reply is asked for again before it counts as a failure.
"""

from openstrawberry.chat import OnDelta, Reply, Request
from openstrawberry.errors import ProviderError
from openstrawberry.models.model import Model

CHARACTERS_PER_TOKEN = 32  # far above any tokenizer's average; only a broken server passes it
FLOOR = 65_536


class Guarded:
    """Checks each reply of `model`."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def spec(self) -> str:
        """The wrapped model's."""
        return self._model.spec

    async def complete(self, request: Request, on_delta: OnDelta | None = None) -> Reply:
        """See `Model.complete`.

        Raises:
            ProviderError: `malformed`, when the reply is empty although nothing cut it, or absurdly long.
        """
        return checked(self.spec, await self._model.complete(request, on_delta), request.max_tokens)

    async def close(self) -> None:
        """Closes the wrapped model."""
        await self._model.close()


def checked(spec: str, reply: Reply, max_tokens: int | None = None) -> Reply:
    """`reply` of the model `spec`; without `max_tokens` nobody knows how long it may be.

    Raises:
        ProviderError: `malformed`, when the reply is empty although nothing cut it, or absurdly long.
    """
    provider = spec.partition(":")[0]
    if not reply.content.strip() and reply.finish_reason in ("stop", "unknown"):
        raise ProviderError(
            f"{spec} answered with nothing.",
            provider=provider,
            kind="malformed",
            hint="Check the model's name and chat template, or choose another with --model.",
        )
    if max_tokens is not None and len(reply.content) > max(FLOOR, CHARACTERS_PER_TOKEN * max_tokens):
        raise ProviderError(
            f"{spec} answered with {len(reply.content):,} characters where {max_tokens:,} tokens were allowed.",
            provider=provider,
            kind="malformed",
            hint="Check that its server honours max_tokens, or choose another with --model.",
        )
    return reply
