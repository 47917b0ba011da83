"""A few small puzzles of every kind, built in for real models: `builtin:puzzles`.

Each has one answer, and they use every verifier that needs no extra package. The embedded model knows none of them.
"""

from openstrawberry.problems.options import with_options
from openstrawberry.problems.problem import Problem

LOCK = """A lock opens with a code of three different digits. Five tries told us this:
0 8 7: one digit is right and in its right place.
9 4 1: one digit is right but in a wrong place.
7 3 2: two digits are right but both in wrong places.
5 9 4: no digit is right.
0 3 6: one digit is right but in a wrong place.
What is the code? Write its three digits without spaces."""

DOORS = """One of three closed doors hides a prize. You pick a door. Your host, who does not know where the prize is,
opens one of the other two at random, and it happens to be empty. You may keep your door or take the other closed one.
Which is better?"""

PUZZLES: tuple[tuple[str, str, str], ...] = (
    ("Which is larger, 0.9 or 0.11?", "0.9", "numeric"),
    (LOCK, "317", "numeric"),
    ("A pen and a notebook cost 1.10 together. The notebook costs 1.00 more than the pen. "
     "How many cents does the pen cost?", "5", "numeric"),
    ("Nora has 3 brothers and 2 sisters. How many sisters does each of her brothers have?", "3", "numeric"),
    ("Five machines make five parts in five minutes. How many minutes do 100 machines need for 100 parts?", "5",
     "numeric"),
    ("How many times is the digit 1 written when all whole numbers from 1 to 100 are written down once?", "21",
     "numeric"),
    (with_options(" ".join(DOORS.split()), ["Keep the first door.", "Take the other door.", "Both are equally good."]),
     "C", "choice"),
    (with_options("Which of these words comes first in a dictionary?", ["berry", "beret", "berth", "bergamot"]), "B",
     "choice"),
    ("Two fair dice with six sides are thrown. What is the probability that they show 8 together?", r"\frac{5}{36}",
     "math"),
    (r"Simplify $\frac{x^2-9}{x-3}$ for $x \neq 3$.", "x+3", "math"),
    (r"What is the derivative of $x^2 \ln x$ with respect to $x$?", r"2x\ln x + x", "math"),
    ("Write the word strawberry backwards.", "yrrebwarts", "exact"),
    ("Today is Wednesday. Which day of the week is it in 100 days?", "Friday", "exact"),
    ("Knights always tell the truth and knaves always lie. Ada says: 'Bo is a knave.' Bo says: 'Ada and I are of the "
     "same kind.' Each is a knight or a knave. Which of the two is the knight?", "Ada", "exact"),
)  # fmt: skip


def puzzles() -> list[Problem]:
    """All of them, in order."""
    return [
        Problem(question=question, answer=answer, verifier=verifier, source="builtin:puzzles")
        for question, answer, verifier in PUZZLES
    ]
