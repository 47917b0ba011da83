"""What can go wrong, and who has to act on it.

    StrawberryError               every message is one sentence (or two) that ends in what to do
    ├── SetupError                the command, key, file or config is wrong: the command stops at once, exit code 1
    │   └── UsageError            an option that does not exist, or a value that it does not take: exit code 2
    ├── Interrupted               somebody pressed Ctrl-C: exit code 130
    ├── OutputError               whoever listens to a run (a terminal, a closed pipe) cannot be told any more
    └── ProviderError             one call to a model failed: `kind` says how, `retryable` whether to try again

A `ProviderError` stays inside its trace: it is recorded there, and the run goes on. Except while no reply of the run
has succeeded yet: then one of `SETUP_KINDS` ends the command (at once, or where a connection was made and lost after a
few attempts), and so does a whole first wave of other failures.
"""

from typing import Literal

ErrorKind = Literal[
    "auth",  # the key is missing, wrong or not allowed
    "not_found",  # no such model, deployment or endpoint
    "bad_request",  # the provider will never accept this request
    "context",  # the conversation no longer fits the model's context
    "quota",  # money or a daily allowance at the provider is used up; waiting a moment does not help
    "budget",  # what the user allowed this run to spend is used up
    "rate_limit",  # too many requests just now
    "overloaded",  # 503, 529: the provider has no capacity just now
    "server",  # any other 5xx
    "connection",  # refused, reset, cut in mid-stream
    "timeout",  # no answer in time
    "malformed",  # an answer that is not what the protocol promises
]

RETRYABLE: frozenset[str] = frozenset({"rate_limit", "overloaded", "server", "connection", "timeout", "malformed"})
SETUP_KINDS: frozenset[str] = frozenset({"auth", "not_found", "connection", "quota"})


class StrawberryError(Exception):
    """Base of everything this package raises on purpose. `str(error)` is fit to be shown to a user.

    `unbilled`: whether the call that ended in it certainly cost nothing.
    """

    unbilled = False


class SetupError(StrawberryError):
    """The command cannot start or go on: wrong arguments, files, keys or configuration."""


class UsageError(SetupError):
    """The command is not written as it must be: an option, a setting in `--config`, or the value of one."""


class Interrupted(StrawberryError):
    """The user stopped the command; the message says how to go on."""


class OutputError(StrawberryError):
    """Events can no longer be shown: the run stops, and goes on with the same command. The cause is `__cause__`."""


class ProviderError(StrawberryError):
    """One call to a model failed.

    Args:
        message: what happened, in one sentence.
        provider: the provider's name in specs, such as `openai`.
        kind: see `ErrorKind`.
        status: HTTP status, 0 where there was none.
        hint: what the user can do; appended to the message.
        retry_after: seconds the provider asked us to wait, if it did.
        unbilled: whether this attempt certainly cost nothing: it never reached the provider, or was turned away.

    `queued` is set where a call waited for its turn: the seconds until it was sent, for which no provider is to blame.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        kind: ErrorKind,
        status: int = 0,
        hint: str = "",
        retry_after: float | None = None,
        unbilled: bool = False,
    ) -> None:
        super().__init__(f"{message} {hint}".strip())
        self.provider = provider
        self.kind = kind
        self.status = status
        self.hint = hint
        self.retry_after = retry_after
        self.unbilled = unbilled
        self.queued = 0.0

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.kind in RETRYABLE

    @property
    def is_setup(self) -> bool:
        """Whether this means that the set-up is wrong, if nothing has worked yet."""
        return self.kind in SETUP_KINDS
