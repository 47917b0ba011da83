"""What berry is trained on: easy sizes, the training side, clean steps, and schedules of every kind."""

from random import Random

from openstrawberry.berry import data
from openstrawberry.berry.tokenizer import FIRST
from openstrawberry.problems import families, procedures

CONVERSATIONS = [data.conversation(Random(seed)) for seed in range(3000)]


def asked(conversation):
    """The item of a conversation's last question, or None."""
    found = [families.recognise(turn.content.split("\n")[0]) for turn in conversation if turn.role == "user"]
    return next((item for item in reversed(found) if item), None)


def test_the_same_seed_gives_the_same_conversation():
    assert data.conversation(Random(3)) == CONVERSATIONS[3]


def test_only_easy_sizes_of_the_training_side_are_solved():
    items = [item for item in map(asked, CONVERSATIONS) if item]
    assert {item.split for item in items} == {"train"}
    assert {item.size for item in items if item.family == "count"} == set(range(3, 11))
    assert {item.size for item in items if item.family == "add"} == set(range(1, 6))


def test_larger_problems_are_begun_and_never_solved():
    for seed in range(500):
        conversation = data.restate(Random(seed))
        item = asked(conversation)
        assert item.split == "train"
        assert item.size > data.EASY[item.family][-1]
        shown = procedures.lines(item)[: data.BEGUN[item.family] + 1]
        allowed = {*shown, *map(procedures.check, shown)}
        assert {turn.content for turn in conversation if turn.learn} <= allowed


def test_what_is_learnt_from_a_step_game_is_right():
    for seed in range(500):
        conversation = data.step_game(Random(seed))
        turns = [turn for turn in conversation if turn.role == "assistant"]
        right = procedures.judge(asked(conversation), [turn.content for turn in turns]).right
        assert [turn.learn for turn in turns] == list(right)


def test_a_spoilt_step_is_not_learnt_and_the_next_step_repairs_it():
    repaired = 0
    for conversation in CONVERSATIONS:
        turns = [turn for turn in conversation if turn.role == "assistant" and turn.content != procedures.NOT_YET]
        spoilt = [i for i, turn in enumerate(turns[:-1]) if not turn.learn and FIRST in conversation[1].content]
        assert all(turns[i + 1].content.startswith("Check: ") for i in spoilt)
        repaired += sum(turns[i + 1].learn for i in spoilt)
    assert repaired > 100


def test_a_slip_always_changes_the_line():
    item = families.Addition(11111, 22222)
    for seed in range(300):
        for line in procedures.lines(item) + procedures.lines(families.LetterCount("aaaa", "a")):
            assert data.spoil(Random(seed), line) != line


def test_traces_of_one_length_of_word_differ_in_length():
    lengths = {len(data.step_game(Random(seed))) for seed in range(200)}
    assert len(lengths) > 15
