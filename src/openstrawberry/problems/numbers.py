r"""Reads one number out of a short text, exactly.

Used to guess that an answer is a number (`guess.py`) and to compare answers (the verifier `numeric`). What always
holds: values are `Fraction`, never float, so nothing is rounded; the work is linear in the length of the text, which is
bounded; a text that names several different numbers, a range or an unfinished calculation has no value, and neither has
one that denies its number ("not 2") or does something to it (`-(3)`, `5²`, "5 squared", "half of 6").

Understood: `1,234.50`, `-3`, `3/4`, `1 3/4`, `.5`, `1e-3`, `1.5 x 10^6`, `$12`, `50%`, `2 million`, `3 dozen`, `12 km`,
`x = 5`, `twelve`, `minus 3`, LaTeX dressing (`\frac{3}{4}`, `\$`, `1{,}000`, `5\text{ cm}`), Unicode minus signs and
digits of full width.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

MAX_CHARS = 10_000
"""Longer texts are not read: no answer that is one number needs them."""

MAX_DIGITS = 4_000
"""Longer numbers are not read; Python refuses to convert more than 4,300 digits."""

MAX_EXPONENT = 400

_SCALES = {"dozen": 12, "hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
]
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2009\u202f\u2007", "\u00a0"),
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        "\uff0c": ",",
        "\uff0e": ".",
        "\uff05": "%",
        "\u2044": "/",
        "\u2215": "/",
        **{
            chr(code): " " + unicodedata.normalize("NFKC", chr(code)).replace("\u2044", "/")
            for code in (0xBC, 0xBD, 0xBE, *range(0x2150, 0x215F))
        },
    }
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")

_DECIMAL = r"(?:\d{1,3}+(?:,\d{3})++(?:\.\d*+)?|\d{1,3}+(?:\u00a0\d{3})++(?:\.\d*+)?|\d++(?:\.\d*+)?|\.\d++)"
_TIMES_TEN = r"\s?(?:[*x×]|\\times|\\cdot)\s?10\s?(?:\^|\*\*)\s?\(?\{?(?P<power>[-+]?\d{1,9})\}?\)?"
_NUMBER = re.compile(
    rf"""(?<![\w^.,+-]) (?P<sign>(?:(?<![\d)\]}}%])[-+]\s*+)?) (?P<currency>[$€£¥]\s?)? (?P<sign2>-?)
    (?:
        (?:(?P<whole>\d{{1,9}})\s++(?=\d+/\d))? (?P<over>\d++)\s?/\s?(?P<under>\d++) (?!/)
        | (?P<decimal>{_DECIMAL})
    )
    (?:[eE](?P<exp>[-+]?\d{{1,9}})(?!\w) | {_TIMES_TEN})?+
    (?![,.]?\d) (?!\s?/\s?\d)
    (?:\s?(?P<percent>%|percent\b|per\ cent\b) | [\s-](?P<scale>{"|".join(_SCALES)})s?\b)?""",
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_LATEX = (
    (re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}"), r" \1/\2 "),
    (re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)"), r" \1/\2 "),
    (re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf|boxed)\s*\{([^{}]*)\}"), r" \1 "),
    (re.compile(r"\^\s*+\{?\s*+\\circ\s*+\}?|°"), " "),
    (re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!,?|\\ )(?=\d{3})"), ","),
    (re.compile(r"\\(?:(?:left|right|displaystyle)(?![A-Za-z])|[,;:! ])"), " "),
    (re.compile(r"\\([%$])"), r"\1"),
    (re.compile(r"^\s*(?:\$\$?|\\\(|\\\[)(.*?)(?:\$\$?|\\\)|\\\])\s*+\.?\s*+$", re.DOTALL), r"\1"),
    (re.compile(r"\b(?:minus|negative)\s++", re.IGNORECASE), "-"),
)
_CALCULATION = re.compile(  # looked for once every number has been replaced by one digit
    r"""[√π±<>≤≥≠∞∛] | \\(?!approx|quad|sim|times|cdot)[A-Za-z] | \b(?:sqrt|log|ln|exp|sin|cos|tan|pi|mod|root)\b
    | [\d)}\]] \s* (?:\^ | \*\* | _ | ! | /) | [\d)}\]] \s? [*·] \s* [A-Za-z(]
    | \d[xyznike]\b | \d[a-ln-z]\d | \d \s? [-+] \s* [a-z]\b
    | \d \s* [⁰¹²³⁴-⁹⁺⁻ⁿ₀-₉]
    | -(?:\s*+[(|\[{]|[*`]) [\s(|\[{*`]*+ 0""",
    re.VERBOSE | re.IGNORECASE,
)
_ALTERED = re.compile(  # likewise: words that deny a number or make another of it
    rf"""(?: \b(?:not|never|nor)\b | n['’]t\b ) \s*+ (?:be\s++)? (?:equal\s++(?:to\s++)?)? [*`$(\s]*+ 0
    | \bplus\s++or\b | \b(?:more|less|greater|fewer)\s++than\s++0 | \b(?:half|twice|double|triple)\s++(?:of\s++)?0
    | 0 [\s-]*+ (?:squared|cubed|factorial|halves|tenths|hundredths|thousandths|(?:{"|".join(_SCALES)})s?)\b
    | 0 \s++ and \s++ an? \s++ (?:half|third|quarter|fourth|fifth|eighth|tenth)""",
    re.VERBOSE | re.IGNORECASE,
)
_INEQUALITY = re.compile(r"[<>]=(?![>=])|(?<!\d)!=")
_OPERATOR = re.compile(r"\s*(?:plus|times|over|by|choose|mod|divided by|multiplied by|C|P)\s*")
_SEPARATOR = re.compile(r"[,;\n](?!\d)|\band\b|\bor\b", re.IGNORECASE)
_PLAIN_DRESSING = re.compile(r"[\s$€£¥%]|percent", re.IGNORECASE)


@dataclass(frozen=True)
class Number:
    """A value as written. `unit` is the factor that a percent sign or a word like "million" puts on `mantissa`."""

    mantissa: Fraction
    unit: Fraction = Fraction(1)

    @property
    def value(self) -> Fraction:
        return self.mantissa * self.unit


def read_number(text: str) -> Number | None:
    """The one number that `text` names, or None where it names none, several, or something longer than the limits."""
    if len(text) > MAX_CHARS:
        return None
    plain = _undress(text)
    if _INEQUALITY.search(plain):
        return None
    if _SEPARATOR.search(plain[plain.find("=") + 1 : plain.rfind("=") + 1]):
        return None  # several equations, not one chain
    plain = plain.rpartition("=")[2]
    found = list(_NUMBER.finditer(plain))
    if not found:
        return _spelled(plain)
    numbers = [_value(match) for match in found]
    skeleton = _NUMBER.sub("0", plain)
    if _CALCULATION.search(skeleton) or _ALTERED.search(skeleton):
        return None
    if _has_stray_digits(plain, found) or any(
        _joined(plain[before.end() : after.start()]) for before, after in pairwise(found)
    ):
        return None
    return numbers[0] if len(set(numbers)) == 1 else None


def is_plain_number(text: str) -> bool:
    """Whether `text` is a number and nothing else but a sign, a currency or a percent sign; a LaTeX fraction is not."""
    if re.fullmatch(r"-?\d{1,18}(?:\.\d{1,18})?", text, re.ASCII):
        return True  # nearly every number of nearly every file
    if len(text) > MAX_CHARS or re.search(r"\\[A-Za-z]", text) or read_number(text) is None:
        return False
    bare = _PLAIN_DRESSING.sub("", _undress(text).rpartition("=")[2])
    return (
        re.fullmatch(r"[-+]?(?:[\d,]*+(?:\.\d*+)?+|\d++/\d++)(?:e[-+]?\d+)?", bare, re.ASCII | re.IGNORECASE)
        is not None
    )


def _undress(text: str) -> str:
    text = re.sub(r"(?<=10)[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+", lambda match: "^" + match[0].translate(_SUPERSCRIPTS), text)
    text = text.translate(_CHARACTERS)
    for pattern, replacement in _LATEX:
        text = pattern.sub(replacement, text)
    return text


def _value(match: re.Match[str]) -> Number | None:
    digits = [match[name] for name in ("whole", "over", "under", "decimal") if match[name]]
    if sum(map(len, digits)) > MAX_DIGITS:
        return None
    if match["over"]:
        if not int(match["under"]):
            return None
        mantissa = int(match["whole"] or 0) + Fraction(int(match["over"]), int(match["under"]))
    else:
        mantissa = Fraction(match["decimal"].replace(",", "").replace("\u00a0", "").rstrip("."))
    exponent = int(match["exp"] or match["power"] or 0)
    if abs(exponent) > MAX_EXPONENT:
        return None
    sign = -1 if "-" in match["sign"] + match["sign2"] else 1
    unit = Fraction(1, 100) if match["percent"] else Fraction(_SCALES.get((match["scale"] or "").lower(), 1))
    return Number(sign * mantissa * Fraction(10) ** exponent, unit)


def _has_stray_digits(text: str, found: list[re.Match[str]]) -> bool:
    """Whether digits stand outside the numbers found and outside words such as `m^2`, `CO2` or `x_1`."""
    rest = list(text)
    for match in found:
        rest[match.start() : match.end()] = " " * (match.end() - match.start())
    return re.search(r"(?<![\w^])\d|\d[,.]\d", re.sub(r"[A-Za-z)}]\s?[\^_]?\{?-?\w*", " ", "".join(rest))) is not None


def _joined(between: str) -> bool:
    """Whether two numbers with this text between them are a calculation, a range, a ratio or a list."""
    bare = re.fullmatch(r"[\s\-+*/^:×÷·x(){}]*", between)
    return not between.strip(" \t\n([") or bool(bare or _OPERATOR.fullmatch(between))


def _spelled(text: str) -> Number | None:
    word = text.strip(" .!*\n\t").lower()
    sign, word = (-1, word[1:].lstrip()) if word.startswith("-") else (1, word)
    return Number(Fraction(sign * _WORDS.index(word))) if word in _WORDS else None
