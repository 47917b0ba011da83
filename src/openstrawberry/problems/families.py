"""Two families of problems that scale without end: counting a letter in a word, adding two numbers.

This is the question side only: what is asked, what the answer is, how hard it is, and on which side of the
train/held-out border it lies. How the problems are solved in small steps is in `procedures.py`.

What always holds:

- The border is a salted hash of the word, or of the pair of numbers. It depends on no seed, so an item that is
  held out is held out in every run and for ever, and `generate(..., split="train")` can never produce it.
- No short cut leads to the answer: a word is as likely to be asked about its late letters as about its early ones
  (half of the invented words are turned round), the letter asked for is sometimes absent, and the count runs
  from 0 to 4.
- Sizes have no upper limit: words are invented from syllables, numbers have as many digits as asked for.

The families are the classical probes of length generalisation in small transformers (Lee et al. 2025,
arXiv 2502.01612); "strawberry" is the word that made the first of them famous.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

Split = Literal["train", "held-out"]
FAMILIES = ("count", "add")

HELD_OUT_SHARE = 0.25
_SALT = "strawberry/22"

COUNT_PHRASINGS = (
    "How many {letter}'s are in {word}?",
    "How many times does the letter {letter} appear in {word}?",
    "Count the letter {letter} in {word}.",
    "How many {letter}'s are in the word {word}?",
    "How many times does {letter} occur in {word}?",
)
ADD_PHRASINGS = (
    "What is {a} + {b}?",
    "{a} + {b} = ?",
    "Add {a} and {b}.",
    "What is the sum of {a} and {b}?",
    "How much is {a} plus {b}?",
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MAX_LETTERS = 24
_VOWELS = "aeiouy"
_CONSONANTS = "bcdfghjklmnpqrstvwxz"
_COUNTS = (0, 1, 2, 3, 4)
_COUNT_WEIGHTS = (15, 32, 25, 17, 11)


@dataclass(frozen=True)
class LetterCount:
    """How often `letter` stands in `word` (lower-case letters only). Its size is the length of the word."""

    word: str
    letter: str
    family: Literal["count"] = "count"

    @property
    def size(self) -> int:
        return len(self.word)

    @property
    def answer(self) -> str:
        return str(self.word.count(self.letter))

    @property
    def split(self) -> Split:
        return _side(self.word)

    def question(self, phrasing: int = 0) -> str:
        return COUNT_PHRASINGS[phrasing].format(letter=self.letter, word=self.word)


@dataclass(frozen=True)
class Addition:
    """The sum of two positive whole numbers. Its size is the number of digits of the longer one."""

    a: int
    b: int
    family: Literal["add"] = "add"

    @property
    def size(self) -> int:
        return len(str(max(self.a, self.b)))

    @property
    def answer(self) -> str:
        return str(self.a + self.b)

    @property
    def split(self) -> Split:
        return _side(f"{min(self.a, self.b)}+{max(self.a, self.b)}")

    def question(self, phrasing: int = 0) -> str:
        return ADD_PHRASINGS[phrasing].format(a=self.a, b=self.b)


Item = LetterCount | Addition


def generate(family: str, size: int, seed: int = 0, split: Split = "held-out") -> Iterator[Item]:
    """Endless items of one family and size on one side of the border, in an order fixed by the seed.

    Items may repeat where few exist (there are 45 sums of one digit).
    """
    rng = Random(f"{family}/{size}/{split}/{seed}")
    while True:
        yield draw(rng, family, size, split)


def draw(rng: Random, family: str, size: int, split: Split) -> Item:
    """One item, drawn with `rng`.

    Raises:
        ValueError: the family is unknown, or a word of that size cannot be invented.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}: choose one of {', '.join(FAMILIES)}")
    if size < 1 or (family == "count" and not 3 <= size <= MAX_LETTERS):
        raise ValueError(f"no {family} problem has size {size}: words have 3 to {MAX_LETTERS} letters, sums any digits")
    while True:
        item = _draw_count(rng, size) if family == "count" else _draw_addition(rng, size)
        if item is not None and item.split == split:
            return item


def phrase(rng: Random, item: Item) -> str:
    """The question in one of its wordings; half of the time the first one."""
    wordings = len(COUNT_PHRASINGS if isinstance(item, LetterCount) else ADD_PHRASINGS)
    return item.question(0 if rng.random() < 0.5 else rng.randrange(1, wordings))


def recognise(question: str) -> Item | None:
    """The item that a question asks for, in any of the wordings, or None where it is of neither family.

    Upper case and spaces around are forgiven: "How many R's are in Strawberry?" is the item of the lower-case word.
    """
    text = " ".join(question.split()).lower()
    for pattern in _COUNT_PATTERNS:
        if match := pattern.fullmatch(text):
            return LetterCount(word=match["word"], letter=match["letter"])
    for pattern in _ADD_PATTERNS:
        if match := pattern.fullmatch(text):
            return Addition(a=int(match["a"]), b=int(match["b"]))
    return None


def invent_word(rng: Random, size: int) -> str:
    """A pronounceable word that probably nobody has written before, of exactly `size` letters.

    Half of the words are made of few different letters, so that letters repeat as they do in "banana".
    """
    few = rng.random() < 0.5
    consonants = rng.sample(_CONSONANTS, 2 + size // 6) if few else _CONSONANTS
    vowels = rng.sample(_VOWELS, 2) if few else _VOWELS
    word = ""
    while len(word) < size:
        shape = rng.choice(("cv", "cvc", "ccv", "cvv", "cvcc", "ccvc", "cccv", "vcc"))
        word += "".join(rng.choice(consonants if part == "c" else vowels) for part in shape)
    word = word[:size]
    return word[::-1] if rng.random() < 0.5 else word


def _draw_count(rng: Random, size: int) -> LetterCount | None:
    """One item whose count was wished for first, so that 0 to 4 all occur; None where the word cannot serve it."""
    count = rng.choices(_COUNTS, _COUNT_WEIGHTS)[0]
    ordinary = _ORDINARY.get(size)
    if ordinary and rng.random() < 0.2:
        word = rng.choice(ordinary)
        letter = rng.choice(word) if count else rng.choice(LETTERS)
        return LetterCount(word, letter)
    for _ in range(50):
        word = invent_word(rng, size)
        letters = [letter for letter in LETTERS if word.count(letter) == count]
        if letters:
            return LetterCount(word, rng.choice(letters))
    return None


def _draw_addition(rng: Random, size: int) -> Addition:
    """Two numbers, the longer of exactly `size` digits; the other is as long in half of the cases."""
    low = 1 if size == 1 else 10 ** (size - 1)
    a = rng.randrange(low, 10**size)
    digits = size if rng.random() < 0.4 else rng.randint(1, size)
    b = rng.randrange(1 if digits == 1 else 10 ** (digits - 1), 10**digits)
    return Addition(a, b) if rng.random() < 0.5 else Addition(b, a)


def _side(key: str) -> Split:
    digest = hashlib.sha256(f"{_SALT}:{key}".encode()).digest()
    return "held-out" if int.from_bytes(digest[:4], "big") < HELD_OUT_SHARE * 2**32 else "train"


def _pattern(phrasing: str, **fields: str) -> re.Pattern[str]:
    text = re.escape(phrasing.lower())
    for name, expression in fields.items():
        text = text.replace(re.escape("{" + name + "}"), f"(?P<{name}>{expression})")
    return re.compile(text)


_COUNT_PATTERNS = [_pattern(text, letter="[a-z]", word="[a-z]+") for text in COUNT_PHRASINGS]
_DIGITS = "[0-9]{1,4000}"  # Python refuses to convert more than 4,300 digits
_ADD_PATTERNS = [_pattern(text, a=_DIGITS, b=_DIGITS) for text in ADD_PHRASINGS]

_ORDINARY_WORDS = """
ant bee cat dog ear egg fox gum hat ice jam key leg map nut owl pea rug sun tea van wax yak zoo bear boat cake coin
door duck farm fish frog gate gold hill jazz kiwi lamp leaf lion milk moon nest noon oven pear pool rice ring road
roof root sail seed ship snow star tree wall wolf wood apple beach berry bread chair cheek daisy eagle floor glass
grape green honey horse house jelly juice kayak lemon level mango mouse night ocean onion otter paper peach piano
radio river robot sheep shell sleep spoon sugar table tiger tooth train water wheel zebra banana basket bottle bubble
butter cactus candle carpet cherry circus coffee cotton dinner dragon engine flower forest garden ginger guitar hammer
insect island jungle kettle kitten ladder letter lizard magnet marble mirror monkey muffin needle orange papaya parrot
pebble pencil pepper pillow pocket potato puppet rabbit ribbon rocket saddle salmon school shadow silver spider spring
square stairs summer sunset tomato tunnel turtle valley velvet violin wallet window winter yellow address balloon
blanket cabbage captain chicken compass cottage dolphin emerald evening feather giraffe glacier gorilla hamster
harvest kingdom lantern library lobster machine mammoth morning mustard octopus pancake penguin popcorn pumpkin
pyramid raccoon rainbow sparrow sunrise teacher thunder trumpet village volcano walnuts weather whisper alphabet
assassin backpack baseball bookcase broccoli building calendar cucumber daughter dinosaur elephant eleventh envelope
football gorgeous hedgehog hospital keyboard mountain mushroom necklace notebook parallel password pinecone possible
princess raindrop sandwich scissors seahorse sentence snowball squirrel sunshine syllabus together tomorrow treasure
umbrella vacation adventure alligator beautiful blackbird blueberry breakfast buttercup butterfly carpenter chocolate
committee cranberry crocodile dandelion dragonfly education fireplace furniture happiness hollywood hurricane
jellyfish lemonades mandarins nightfall orchestra pineapple porcupine raspberry saxophone snowflake succeeded
sunflower telescope tennessee vegetable waterfall wednesday yesterday assessment basketball blackberry bookkeeper
bottleneck dictionary friendship generation gooseberry grapefruit lighthouse millennium motorcycle peppermint
photograph playground rhinoceros skateboard strawberry successful television tumbleweed understand volleyball
watermelon boysenberry candlestick caterpillar grasshopper lighthouses mississippi nightingale possessions wheelbarrow
cheeseburger elderberries handkerchief hippopotamus interference marshmallows neighborhood sledgehammer strawberries
thunderstorm assassination constellation entertainment grandchildren
"""
_ORDINARY: dict[int, list[str]] = {}
for _word in _ORDINARY_WORDS.split():
    _ORDINARY.setdefault(len(_word), []).append(_word)
