"""The providers as tests meet them: each one's spec, and what points it at a loopback server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from openstrawberry.chat import Delta, Message, OnDelta, Reply, Request
from openstrawberry.models.model import Model
from openstrawberry.models.registry import open_model
from openstrawberry.settings import Settings
from tests.servers.dialects import Said, Speaker
from tests.servers.http import Answer, Handler, Received, Server

T = TypeVar("T")


@dataclass(frozen=True)
class Wire:
    """One client: `protocol` is what its server speaks, `suffix` what stands behind the server's address."""

    spec: str
    protocol: str
    variable: str
    key: str = ""
    suffix: str = ""

    def settings(self, url: str, **more: str) -> Settings:
        return Settings({self.variable: url + self.suffix, **({self.key: "sk-secret"} if self.key else {}), **more})

    def __str__(self) -> str:
        return self.spec.partition(":")[0]


OPENAI = Wire("openai:gpt", "openai", "OPENAI_BASE_URL", "OPENAI_API_KEY", "/v1")
AZURE = Wire("azure:deployment", "openai", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY")
ANTHROPIC = Wire("anthropic:claude", "anthropic", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY")
GEMINI = Wire("gemini:gemini-2.5-flash", "gemini", "GEMINI_BASE_URL", "GEMINI_API_KEY")
GROQ = Wire("groq:llama", "openai", "GROQ_BASE_URL", "GROQ_API_KEY")
OLLAMA = Wire("ollama:mistral:v0.3", "ollama", "OLLAMA_HOST", "OLLAMA_API_KEY")
COMPAT = Wire("compat:local", "openai", "COMPAT_BASE_URL", "COMPAT_API_KEY", "/v1")
EVERY = (OPENAI, AZURE, ANTHROPIC, GEMINI, GROQ, OLLAMA, COMPAT)
SHAPED = ("cerebras", "mistral", "together", "openrouter", "deepseek", "huggingface", "replicate", "vllm", "compat")


def asked(text: str = "How many?", system: str = "Think.", **fields: object) -> Request:
    """A conversation's first request."""
    return Request((Message(role="system", content=system), Message(role="user", content=text)), **fields)


def served(
    wire: Wire,
    handler: Handler | Sequence[Said | Answer],
    work: Callable[[Model, Server], Awaitable[T]],
    **more: object,
) -> T:
    """Run `work` with a model of `wire` in front of a server."""

    async def session() -> T:
        async with Server(Speaker(wire.protocol, handler) if isinstance(handler, Sequence) else handler) as server:
            model = open_model(wire.spec, wire.settings(server.url), **more)
            try:
                return await work(model, server)
            finally:
                await model.close()

    return asyncio.run(session())


def exchange(
    wire: Wire, said: Said | Answer, request: Request | None = None, *, stream: bool = False, **more: object
) -> tuple[Reply, list[Delta], Received]:
    """One request and its reply: what came back, what was heard on the way, and what the server received."""
    heard: list[Delta] = []

    async def work(model: Model, server: Server) -> tuple[Reply, list[Delta], Received]:
        listener: OnDelta | None = heard.append if stream else None
        reply = await model.complete(request or asked(), listener)
        return reply, heard, server.requests[-1]

    return served(wire, [said], work, **more)
