"""What comes back over each protocol ends up in the same `Reply`, streamed or not."""

import pytest

from openstrawberry.chat import Usage
from tests.models.wires import ANTHROPIC, COMPAT, EVERY, GEMINI, OLLAMA, OPENAI, Wire, asked, exchange
from tests.servers.dialects import Said
from tests.servers.http import Answer

both_ways = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
every_wire = pytest.mark.parametrize("wire", EVERY, ids=str)
SAID = Said("Strawberry has 3 r's — dreißig.", reasoning="s-t-r, r-r", usage=(100, 60, 20, 30, 10))


@both_ways
@every_wire
def test_text_and_reasoning_arrive(wire: Wire, stream: bool) -> None:
    reply, heard, _ = exchange(wire, SAID, stream=stream)
    assert (reply.content, reply.reasoning, reply.finish_reason) == (SAID.text, SAID.reasoning, "stop")
    assert reply.model == f"{wire}:served"
    if stream:
        assert "".join(delta.text for delta in heard if delta.channel == "content") == SAID.text
        assert "".join(delta.text for delta in heard if delta.channel == "reasoning") == SAID.reasoning
        assert len(heard) > 2


@both_ways
@every_wire
def test_usage_is_what_the_provider_said_and_none_where_it_said_nothing(wire: Wire, stream: bool) -> None:
    expected = {
        "anthropic": Usage(input=100, cached_input=60, cache_write=20, output=30, reasoning=10),
        "ollama": Usage(input=100, output=30),
    }
    reply, _, _ = exchange(wire, SAID, stream=stream)
    assert reply.usage == expected.get(str(wire), Usage(input=100, cached_input=60, output=30, reasoning=10))


@both_ways
@every_wire
def test_a_reply_cut_at_its_limit_says_so(wire: Wire, stream: bool) -> None:
    assert exchange(wire, Said("half a", finish="length"), stream=stream)[0].finish_reason == "length"


@both_ways
@pytest.mark.parametrize("wire", [wire for wire in EVERY if wire is not OLLAMA], ids=str)
def test_a_filtered_reply_is_a_reply(wire: Wire, stream: bool) -> None:
    assert exchange(wire, Said("", finish="filter"), stream=stream)[0].finish_reason == "filter"


@both_ways
@every_wire
def test_an_empty_reply_is_a_reply(wire: Wire, stream: bool) -> None:
    reply, _, _ = exchange(wire, Said(""), stream=stream)
    assert (reply.content, reply.finish_reason) == ("", "stop")


@both_ways
@every_wire
def test_a_megabyte_arrives_whole(wire: Wire, stream: bool) -> None:
    said = Said("0123456789abcdef" * 65_536)
    assert exchange(wire, said, stream=stream)[0].content == said.text


@both_ways
@pytest.mark.parametrize("wire", [COMPAT, OLLAMA], ids=str)
def test_thoughts_in_tags_are_split_off_for_local_servers(wire: Wire, stream: bool) -> None:
    reply, heard, _ = exchange(wire, Said("<think>s, t, r</think>\n\nThere are <b>3</b>."), stream=stream)
    assert (reply.content, reply.reasoning) == ("There are <b>3</b>.", "s, t, r")
    if stream:
        assert "".join(delta.text for delta in heard if delta.channel == "content") == reply.content


@both_ways
def test_tags_stay_where_the_provider_has_a_field_for_thoughts(stream: bool) -> None:
    assert exchange(OPENAI, Said("<think>a</think>b"), stream=stream)[0].content == "<think>a</think>b"


@both_ways
def test_tags_in_the_middle_of_a_reply_are_text(stream: bool) -> None:
    text = "The tag <think>x</think> is written so."
    assert exchange(COMPAT, Said(text), stream=stream)[0].content == text


def test_thoughts_that_never_end_are_all_reasoning() -> None:
    reply, _, _ = exchange(COMPAT, Said("<think>and on and on", finish="length"), stream=True)
    assert (reply.content, reply.reasoning) == ("", "and on and on")


def test_a_refusal_is_a_filtered_reply_with_its_words() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    answer = Answer.of({"model": "m", "choices": [{"message": message, "finish_reason": "stop"}]})
    reply, _, _ = exchange(OPENAI, answer)
    assert (reply.content, reply.finish_reason) == ("I cannot help with that.", "filter")
    assert reply.usage == Usage()


def test_a_filtered_prompt_is_a_filtered_reply() -> None:
    error = {"message": "The prompt was filtered.", "code": "content_filter", "type": None}
    assert exchange(OPENAI, Answer.of({"error": error}, 400))[0].finish_reason == "filter"
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 9}}
    reply, _, _ = exchange(GEMINI, Answer.of(blocked))
    assert (reply.finish_reason, reply.usage.input) == ("filter", 9)


def test_mistrals_chunks_are_text_and_reasoning() -> None:
    content = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "3"},
    ]
    answer = Answer.of({"choices": [{"message": {"content": content}, "finish_reason": "stop"}]})
    wire = Wire("mistral:magistral", "openai", "MISTRAL_BASE_URL", "MISTRAL_API_KEY")
    reply, _, _ = exchange(wire, answer)
    assert (reply.content, reply.reasoning) == ("3", "hm")


def test_an_answer_that_fills_ollamas_window_counts_as_cut() -> None:
    said = Said("The end.", usage=(100, 0, 0, 30, 0))
    assert exchange(OLLAMA, said, num_ctx=130)[0].finish_reason == "length"
    assert exchange(OLLAMA, said, num_ctx=131)[0].finish_reason == "stop"


def test_anthropics_window_running_out_counts_as_cut() -> None:
    body = {"content": [{"type": "text", "text": "a"}], "stop_reason": "model_context_window_exceeded"}
    assert exchange(ANTHROPIC, Answer.of(body), asked())[0].finish_reason == "length"
