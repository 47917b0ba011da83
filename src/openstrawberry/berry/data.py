"""The conversations berry is trained on, drawn without end from a seeded generator.

What always holds:

- Only easy sizes are ever solved: words up to 10 letters, numbers up to 5 digits, all from the training side of the
  border in `problems/families.py`. `restate` shows the beginnings of larger ones: the skill of copying, never the
  whole task.
- The model learns only from its own turns (`Turn.learn`); user turns, and steps that were spoilt on purpose so that
  the next check has something to repair, are context.
- The schedule of user turns varies wildly, so that none matters: checks early, late, or many in a row, answers asked
  for too soon, conversations of 1 to 60 turns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from openstrawberry.berry.tokenizer import DIRECT, FINAL, FIRST, NEXT, ONLY_KNOWS, STEPWISE, SURE, SYSTEM_PROMPTS
from openstrawberry.problems import families, procedures
from openstrawberry.problems.families import Addition, Item, LetterCount

EASY = {"count": range(3, 11), "add": range(1, 6)}
LARGER = {"count": range(11, 15), "add": range(6, 9)}
BEGUN = {"count": 0, "add": 1}  # the last line that is shown of larger problems

SPOILT = ((0.0, 0.45), (0.06, 0.35), (0.2, 0.2))  # (share of steps made wrong, share of such conversations)
REDUNDANT = 0.03  # share of steps before which berry checks without being asked


@dataclass(frozen=True)
class Turn:
    role: str
    content: str
    learn: bool = False


Conversation = list[Turn]


def conversation(rng: Random) -> Conversation:
    """One conversation of the mixture: mostly the step game, some of every other form."""
    kinds: list[tuple[float, Callable[[Random], Conversation]]] = [
        (0.80, step_game),
        (0.07, one_reply),
        (0.05, direct),
        (0.05, few_shot),
        (0.03, elsewhere),
    ]
    make = rng.choices([kind for _, kind in kinds], [share for share, _ in kinds])[0]
    return make(rng)


def easy_item(rng: Random) -> Item:
    """An item of an easy size; larger sizes more often, since they have more to learn."""
    family = rng.choice(families.FAMILIES)
    sizes = EASY[family]
    size = rng.choices(sizes, [size + 1 for size in sizes])[0]
    if rng.random() < 0.3:
        return scrambled_word(rng, size) if family == "count" else repetitive_sum(rng, size)
    return families.draw(rng, family, size, "train")


def scrambled_word(rng: Random, size: int) -> LetterCount:
    """A word of letters in any order: copying must not lean on what usually follows what."""
    while True:
        letters = rng.sample(families.LETTERS, rng.choice((2, 3, 4, 6, 10, 26)))
        word = "".join(rng.choices(letters, k=size))
        item = LetterCount(word, rng.choice(word) if rng.random() < 0.85 else rng.choice(families.LETTERS))
        if item.split == "train":
            return item


def repetitive_sum(rng: Random, size: int) -> Addition:
    """Two numbers made of two or three digits only: copying goes wrong where a digit repeats."""
    while True:
        digits = rng.sample("123456789", rng.randint(2, 3))
        a, b = (int("".join(rng.choices(digits, k=length))) for length in (size, rng.randint(1, size)))
        item = Addition(a, b) if rng.random() < 0.5 else Addition(b, a)
        if item.split == "train":
            return item


def question(rng: Random, item: Item) -> str:
    """The item in one of its wordings, now and then with a capital letter."""
    text = families.phrase(rng, item)
    if isinstance(item, LetterCount) and rng.random() < 0.05:
        return text.replace(item.word, item.word.capitalize())
    return text


def step_game(rng: Random) -> Conversation:
    """The multi-turn protocol of the `strawberry` strategy, with a schedule drawn at random."""
    usual = rng.random() < 0.5
    final_every = 9 if usual else rng.choice((2, 3, 4, 5, 6, 7, 8, 10, 12, 1000))
    sure_chance = 0.12 if usual else rng.choice((0.0, 0.05, 0.3, 0.6))
    max_turns = 60 if usual else rng.randint(1, 60)
    item = easy_item(rng)
    spoilt = rng.choices([rate for rate, _ in SPOILT], [share for _, share in SPOILT])[0]
    return play(rng, Player(rng, item, spoilt), final_every, sure_chance, max_turns)


def play(rng: Random, player: "Player", final_every: int, sure_chance: float, max_turns: int) -> Conversation:
    """One step game: the user's turns by the schedule, the model's by the player."""
    turns = [Turn("system", rng.choice(SYSTEM_PROMPTS))] if rng.random() < 0.95 else []
    turns += [Turn("user", question(rng, player.item) + FIRST), player.step()]
    for turn in range(1, max_turns):
        if turn % final_every == 0:
            turns += [Turn("user", FINAL), player.answer_if_done()]
        elif rng.random() < sure_chance:
            turns += [Turn("user", rng.choice(SURE)), player.check()]
        else:
            turns += [Turn("user", rng.choice(NEXT)), player.step()]
        if player.answered:
            break
    return turns


class Player:
    """Plays the model's side of one step game perfectly, except for the steps that it spoils on purpose."""

    def __init__(self, rng: Random, item: Item, spoilt: float) -> None:
        self.rng = rng
        self.item = item
        self.lines = procedures.lines(item)
        self.at = -1
        self.flawed = False
        self.answered = False
        self.spoilt = spoilt

    @property
    def done(self) -> bool:
        return self.at >= len(self.lines) - 2

    def step(self) -> Turn:
        """The next line; before it, sometimes a check that nobody asked for, and always one where a step is wrong."""
        if self.flawed:
            return self.check()
        if not self.done:
            return self.check() if self.at >= 0 and self.rng.random() < REDUNDANT else self._claim(self.at + 1)
        move = self.rng.random()
        if move < 0.5:
            return self.answer_if_done()
        return self._claim(len(self.lines) - 1) if move < 0.85 else self.check()

    def check(self) -> Turn:
        return self._say(self.lines[self.at], procedures.check)

    def answer_if_done(self) -> Turn:
        if not self.done or self.flawed:
            return Turn("assistant", procedures.NOT_YET, learn=True)
        self.answered = True
        return Turn("assistant", procedures.final(self.item), learn=True)

    def _claim(self, at: int) -> Turn:
        self.at = at
        return self._say(self.lines[at])

    def _say(self, line: str, form: Callable[[str], str] = str) -> Turn:
        self.flawed = self.rng.random() < self.spoilt
        return Turn("assistant", form(spoil(self.rng, line) if self.flawed else line), learn=not self.flawed)


def spoil(rng: Random, line: str) -> str:
    """The line with one slip of the pen in its letters or digits: changed, dropped, doubled or swapped."""
    start = max(line.rfind("Left ") + 5, 0) if rng.random() < 0.5 else 0
    places = [i for i, c in enumerate(line) if i >= start and (c.isdigit() or _lonely_letter(line, i))]
    places = places or [i for i, c in enumerate(line) if c.isdigit()] or [len(line) - 1]
    i = rng.choice(places)
    other = rng.choice("0123456789" if line[i].isdigit() else families.LETTERS)
    changed, dropped, doubled = (
        line[:i] + other + line[i + 1 :],
        line[:i] + line[i + 1 :],
        line[:i] + line[i] + line[i:],
    )
    swapped = line[:i] + line[i : i + 2][::-1] + line[i + 2 :] if line[i + 1 : i + 2].isalnum() else dropped
    slip = rng.choice((changed, dropped, doubled, swapped))
    return slip if slip != line else line[:i] + ("7" if line[i] != "7" else "3") + line[i + 1 :]


def _lonely_letter(line: str, i: int) -> bool:
    """Whether the character is a letter of the word that is left (the last field of a counting step)."""
    return line[i].isalpha() and ". Left " in line and i >= line.index(". Left ") + 7


def one_reply(rng: Random) -> Conversation:
    """Chain of thought: all the steps in one reply, a line each, then the answer."""
    item = easy_item(rng)
    player = Player(rng, item, spoilt=0.0)
    steps = []
    while not player.answered:
        steps.append(player.step().content)
    return [Turn("user", question(rng, item) + STEPWISE), Turn("assistant", "\n".join(steps), learn=True)]


def direct(rng: Random) -> Conversation:
    """The answer at once."""
    item = easy_item(rng)
    return [Turn("user", question(rng, item) + DIRECT), Turn("assistant", procedures.final(item), learn=True)]


def few_shot(rng: Random) -> Conversation:
    """Two to four questions with their answers, then the one that counts."""
    items: list[Item] = [
        LetterCount("elephant", "e"),
        Addition(48, 67),
        LetterCount("cotton", "t"),
    ]
    if rng.random() < 0.5:
        items = [easy_item(rng) for _ in range(rng.randint(2, 4))]
    turns = []
    for item in items:
        turns += [Turn("user", item.question() + DIRECT), Turn("assistant", procedures.final(item))]
    return turns + direct(rng)


def elsewhere(rng: Random) -> Conversation:
    """A question outside the two families, whatever the form: one plain sentence says so."""
    text = foreign_question(rng)
    turns = [Turn("user", text + rng.choice(("", FIRST, DIRECT, STEPWISE))), Turn("assistant", ONLY_KNOWS, learn=True)]
    if text and rng.random() < 0.3:
        turns += [Turn("user", rng.choice((*NEXT, *SURE, FINAL))), Turn("assistant", ONLY_KNOWS, learn=True)]
    return [Turn("system", rng.choice(SYSTEM_PROMPTS)), *turns] if rng.random() < 0.5 else turns


_FOREIGN = (
    "What is the capital of {w}?",
    "Who wrote {w}?",
    "What is {a} - {b}?",
    "What is {a} * {b}?",
    "What is {a} / {b}?",
    "Which is larger, {a} or {b}?",
    "Which is larger, 0.{a} or 0.{b}?",
    "Is {a} a prime number?",
    "Write a poem about {w}.",
    "Spell {w} backwards.",
    "How are you, {w}?",
    "Hello {w}!",
    "Translate {w} into French.",
    "Tell me a story about a {w} and a {v}.",
    "A train travels {a} miles in {b} hours. How fast is it?",
    "How many days are in {a} weeks?",
    "How many sheep are left when {a} of {b} run away?",
    "If {w} is taller than {v}, who is shorter?",
    "Solve x + {a} = {b}.",
    "Why is the {w} {v}?",
    "What colour is {w}?",
    "How old is {w}?",
    "What does {w} mean?",
    "Sort these words: {w}, {v}.",
    "{w} {v}",
    "{w}",
)


def foreign_question(rng: Random) -> str:
    words = {key: families.invent_word(rng, rng.randint(2, 10)) for key in "wv"}
    numbers = {key: rng.randrange(1, 10 ** rng.randint(1, 4)) for key in "ab"}
    text = rng.choice(_FOREIGN).format(**words, **numbers)
    if rng.random() < 0.4:
        text += " " + " ".join(families.invent_word(rng, rng.randint(2, 8)) for _ in range(rng.randint(1, 8)))
    return text


def restate(rng: Random) -> Conversation:
    """The second stage's exercise: begin a problem larger than any that is ever solved, and check what was said.

    Of a word only the first line is shown (the question restated), of a sum the first column too.
    """
    family = rng.choice(families.FAMILIES)
    size = rng.choice(LARGER[family])
    scrambled = family == "count" and rng.random() < 0.3
    item = scrambled_word(rng, size) if scrambled else families.draw(rng, family, size, "train")
    player = Player(rng, item, spoilt=0.1)
    turns = [Turn("system", rng.choice(SYSTEM_PROMPTS)), Turn("user", question(rng, item) + FIRST), player.step()]
    while player.flawed or player.at < BEGUN[family] or rng.random() < 0.4:
        if player.at < BEGUN[family] and rng.random() < 0.7:
            turns += [Turn("user", rng.choice(NEXT)), player.step()]
        else:
            turns += [Turn("user", rng.choice(SURE)), player.check()]
    return turns
