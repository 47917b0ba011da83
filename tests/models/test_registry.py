"""From a spec to a model, or to one sentence that says what to do."""

import asyncio
import subprocess
import sys

import pytest

from openstrawberry.errors import ProviderError, SetupError
from openstrawberry.models.registry import PROVIDERS, list_models, open_model, provider_names, provider_states
from openstrawberry.settings import Settings
from tests.models.wires import ANTHROPIC, COMPAT, GEMINI, GROQ, OLLAMA, OPENAI, Wire
from tests.servers.http import Answer, Received, Server

EMPTY = Settings({})


def refusal(spec: str, settings: Settings = EMPTY, **options: object) -> str:
    with pytest.raises(SetupError) as caught:
        open_model(spec, settings, **options)
    return str(caught.value)


def opened(spec: str, **variables: str) -> str:
    """The spec of the model that opens."""
    model = open_model(spec, Settings(variables))
    asyncio.run(model.close())
    return model.spec


def test_every_provider_of_the_design_is_there() -> None:
    wanted = "openai azure anthropic gemini groq ollama cerebras mistral together openrouter deepseek huggingface"
    assert {*wanted.split(), "replicate", "vllm", "compat", "hf", "berry", "scripted"} <= set(provider_names())


def test_an_unknown_provider_gets_the_nearest_name() -> None:
    assert "'anthropic'" in refusal("antropic:claude")
    assert "openai, " in refusal("zzz:m")


@pytest.mark.parametrize("provider", [row for row in PROVIDERS if not row.key_optional], ids=lambda row: row.name)
def test_a_missing_key_is_named_with_its_variable(provider: object) -> None:
    name = getattr(provider, "name", "")
    told = refusal(f"{name}:m", Settings({"AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:1"}))
    for variable in getattr(provider, "keys", ()):
        assert variable in told
    assert told.endswith("in the environment or in .env.")


def test_every_spelling_of_a_key_is_read() -> None:
    for variable in ("GEMINI_API_KEY", "GOOGLE_API_KEY"):
        assert opened("gemini:m", **{variable: "k"}) == "gemini:m"
    assert opened("google:m", GOOGLE_API_KEY="k") == "gemini:m"
    for variable in ("TOGETHERAI_API_TOKEN", "TOGETHER_API_KEY"):
        assert opened("together:m", **{variable: "k"}) == "together:m"
    for variable in ("HUGGING_FACE_HUB_TOKEN", "HF_TOKEN"):
        assert opened("huggingface:org/m", **{variable: "k"}) == "huggingface:org/m"
    for variable in ("CEREBRAS_OPENAI_API_KEY", "CEREBRAS_API_KEY"):
        assert opened("cerebras:m", **{variable: "k"}) == "cerebras:m"


def test_a_name_may_hold_colons_and_an_address_may_follow_it() -> None:
    assert opened("ollama:mistral:v0.3") == "ollama:mistral:v0.3"
    assert opened("compat:org/m:1@http://127.0.0.1:8000/v1") == "compat:org/m:1@http://127.0.0.1:8000/v1"


def test_without_a_name_the_first_of_the_list_is_taken() -> None:
    assert opened("openai", OPENAI_API_KEY="k", OPENAI_MODEL_NAME="[gpt-4o, gpt-4.1]") == "openai:gpt-4o"
    assert opened("ollama:", OLLAMA_OPENAI_MODEL_NAME='["ollama:mistral:v0.3", "b"]') == "ollama:mistral:v0.3"
    azure = {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"}
    assert opened("azure", **azure, AZURE_OPENAI_DEPLOYMENT="mine", AZURE_OPENAI_MODEL_NAME="gpt-4o") == "azure:mine"


def test_without_a_name_or_a_list_it_is_said_how_to_write_one() -> None:
    told = refusal("openai", Settings({"OPENAI_API_KEY": "k"}))
    assert "--model openai:NAME" in told
    assert "OPENAI_MODEL_NAME" in told


def test_an_address_is_needed_and_must_be_one() -> None:
    assert "compat:NAME@http" in refusal("compat:m")
    assert "AZURE_OPENAI_ENDPOINT" in refusal("azure:m", Settings({"AZURE_OPENAI_API_KEY": "k"}))
    for url in ("localhost:8000", "http://", "http://h:port", "ftp://h/v1"):
        assert "is not a URL" in refusal("compat:m", Settings({"COMPAT_BASE_URL": url}))
    assert "COMPAT_API_KEY" in refusal("compat:m@http://user:sk-secret@127.0.0.1:8000/v1")
    assert "sk-secret" not in refusal("compat:m@http://user:sk-secret@127.0.0.1:8000/v1")


def test_ollamas_host_may_be_a_bare_host() -> None:
    for host in ("127.0.0.1", "127.0.0.1:11434", ":11434", "http://127.0.0.1:11434"):
        (state,) = [state for state in provider_states(Settings({"OLLAMA_HOST": host})) if state.name == "ollama"]
        assert host in state.base_url
        assert opened("ollama:m", OLLAMA_HOST=host) == "ollama:m"


def test_a_key_with_a_stray_character_is_refused_before_it_is_sent() -> None:
    told = refusal("openai:m", Settings({"OPENAI_API_KEY": "sk-“secret”"}))
    assert "OPENAI_API_KEY" in told
    assert "secret" not in told


def test_an_unknown_option_gets_the_nearest_name() -> None:
    assert "'num_ctx'" in refusal("ollama:m", EMPTY, numctx=4096)


def test_a_model_with_unmet_needs_says_what_to_install() -> None:
    if "torch" not in sys.modules and not _importable("torch"):
        assert 'pip install "openstrawberry[hf]"' in refusal("hf:org/m")


def test_states_show_what_is_set_and_never_the_key() -> None:
    settings = Settings({"OPENAI_API_KEY": "sk-secret", "GROQ_BASE_URL": "http://user:sk-secret@h/v1"})
    states = {state.name: state for state in provider_states(settings)}
    assert (states["openai"].key_set, states["groq"].key_set) == (True, False)
    assert states["openai"].base_url == "https://api.openai.com/v1"
    assert states["vllm"].base_url == "http://127.0.0.1:8000/v1"
    assert "sk-secret" not in repr(states)
    assert not states["ollama"].key_needed


LISTS: list[tuple[Wire, object, tuple[str, ...]]] = [
    (OPENAI, {"data": [{"id": "b"}, {"id": "a"}]}, ("a", "b")),
    (GROQ, {"data": [{"id": "a"}]}, ("a",)),
    (COMPAT, [{"id": "a"}], ("a",)),
    (ANTHROPIC, {"data": [{"id": "a", "type": "model"}], "has_more": False}, ("a",)),
    (GEMINI, {"models": [{"name": "models/a", "supportedGenerationMethods": ["generateContent"]}]}, ("a",)),
    (OLLAMA, {"models": [{"model": "a:7b", "name": "a:7b"}]}, ("a:7b",)),
]


@pytest.mark.parametrize(("wire", "listed", "names"), LISTS, ids=[str(wire) for wire, _, _ in LISTS])
def test_a_provider_lists_its_models(wire: Wire, listed: object, names: tuple[str, ...]) -> None:
    async def session() -> tuple[tuple[str, ...], Received]:
        async with Server(lambda received: Answer.of(listed)) as server:
            return await list_models(str(wire), wire.settings(server.url)), server.requests[0]

    found, received = asyncio.run(session())
    assert found == names
    assert received.method == "GET"


def test_a_provider_without_a_list_has_none() -> None:
    assert asyncio.run(list_models("berry", EMPTY)) == ()


def test_a_provider_that_does_not_answer_says_so() -> None:
    with pytest.raises(ProviderError, match="ollama serve"):
        asyncio.run(list_models("ollama", Settings({"OLLAMA_HOST": "http://127.0.0.1:9"})))


def test_the_table_imports_no_sdk() -> None:
    code = (
        "import sys, openstrawberry.models.registry as r\n"
        "from openstrawberry.settings import Settings\n"
        "r.provider_states(Settings({}))\n"
        "heavy = {'openai', 'anthropic', 'google.genai', 'groq', 'ollama', 'torch', 'onnxruntime', 'httpx', 'httpx2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_model_shows_its_key() -> None:
    for spec, variable in (("openai:m", "OPENAI_API_KEY"), ("anthropic:m", "ANTHROPIC_API_KEY")):
        model = open_model(spec, Settings({variable: "sk-secret"}))
        assert "sk-secret" not in repr(model) + repr(vars(model))
        asyncio.run(model.close())


def _importable(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
