r"""The child's half of `workers.py`: runs the judges that may hang, one job at a time.

Run as `python -m openstrawberry.verifiers.judging JUDGE DEADLINE_S`. Each line of standard input is the JSON list of
one job's arguments, each line of standard output the JSON list `[status, detail]`; the first says that it is ready.

What always holds: the process ends when its input ends, when its parent dies (Linux), and at the latest when a job has
overrun its deadline: the alarm has its default action, which no loop inside the interpreter can hold up. Once the
imports are done, it can no longer write files, start programs or open connections, because sympy's parser and some
scorers evaluate what a model wrote.

The judge of mathematics is math-verify (Kydlíček 2024), gold first. It compares to 6 decimals, expressions by
simplification, sets and intervals as such.
"""

import contextlib
import functools
import json
import os
import re
import signal
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, TextIO

MEMORY_BYTES = 4 * 2**30

_RAISED = re.compile(r"[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
_PRIME = re.compile(r"([A-Za-z])\s*('+|’+|\^\s*\{?\s*(?:\\prime\s*)+\}?)")
_FUNCTION = re.compile(r"(?<![\\A-Za-z])(sin|cos|tan|cot|log|ln|exp|pi|theta|alpha|beta|infty)(?![A-Za-z])")
_FORBIDDEN = (
    *("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.kill", "socket.", "ctypes."),
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "shutil."),
)


def judge_math(gold: list[str], answer: str) -> tuple[str, str]:
    """Whether `answer` is mathematically the same as one of `gold`."""
    from math_verify import verify

    known = [parsed for text in gold if (parsed := parse(text))]
    if not known:
        return "unknown", f"the known answer {gold[0][:80]!r} cannot be read as mathematics; use --verifier exact"
    given = parse(answer)
    if not given:
        return "incorrect", "the answer cannot be read as mathematics"
    right = any(verify(parsed, given, timeout_seconds=None, raise_on_error=True) for parsed in known)
    return ("correct" if right else "incorrect"), ""


def parse(text: str) -> list[Any]:
    """What math-verify reads in `text`, a prime being a name of its own; empty where it reads no expression."""
    from math_verify import LatexExtractionConfig
    from math_verify import parse as parse_latex

    text = _RAISED.sub(lambda match: f"^{{{unicodedata.normalize('NFKC', match[0]).replace('−', '-')}}}", text)
    text = _PRIME.sub(_named_prime, text)  # the library would drop it
    marked = "$" in text or r"\boxed" in text or r"\(" in text or r"\[" in text
    if not marked:
        text = r"\boxed{" + _FUNCTION.sub(r"\\\1", text.replace("**", "^")) + "}"
    parsed = parse_latex(text, extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    return [] if all(isinstance(item, str) for item in parsed) else list(parsed)


def _named_prime(match: re.Match[str]) -> str:
    primes = len(re.findall(r"['’]|prime", match[2]))
    return f"{match[1]}_{{{'prime' * primes}}}"


def judge_gym(task: str, config: dict[str, str], entry: Any, answer: str) -> tuple[str, str]:
    """Whether reasoning-gym's own scorer gives `answer` its full score; less is wrong."""
    from openstrawberry.problems.gym import decode

    dataset = _dataset(task, json.dumps(config))
    try:
        score = float(dataset.score_answer(answer, decode(entry)))
    except MemoryError:
        raise
    except Exception as error:  # some scorers raise on whatever they cannot read
        return "incorrect", f"the scorer of {task} cannot read it ({type(error).__name__})"
    return ("correct", "") if score == 1.0 else ("incorrect", f"score {score:g}" if score > 0 else "")


@functools.lru_cache(maxsize=64)
def _dataset(task: str, config: str) -> Any:
    from openstrawberry.problems.gym import open_task

    return open_task(task, json.loads(config))


JUDGES: dict[str, Callable[..., tuple[str, str]]] = {"math": judge_math, "gym": judge_gym}
_WARM_UP: dict[str, Callable[[], object]] = {
    "math": lambda: judge_math([r"\frac{1}{2}"], "x+1"),
    "gym": lambda: __import__("reasoning_gym"),
}


def serve(judge: str, deadline_s: float, jobs: TextIO, results: TextIO) -> None:
    """Answer every line of `jobs` with one line of `results`."""
    _WARM_UP[judge]()
    sys.addaudithook(_forbid)
    _say(results, "ready", "")
    for line in jobs:
        signal.setitimer(signal.ITIMER_REAL, deadline_s + 1)
        try:
            status, detail = JUDGES[judge](*json.loads(line))
        except MemoryError:
            status, detail = "unknown", "checking it takes more memory than allowed"
        except Exception as error:  # whatever the library raises, the answer is not thereby wrong
            status, detail = "unknown", f"{type(error).__name__}: {error}"[:300]
        signal.setitimer(signal.ITIMER_REAL, 0)
        _say(results, status, detail)


def _say(results: TextIO, status: str, detail: str) -> None:
    results.write(json.dumps([status, detail]) + "\n")
    results.flush()


def _forbid(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            raise PermissionError("a judge writes no files")
    elif event.startswith(_FORBIDDEN):
        raise PermissionError(f"a judge may not use {event}")


def _limit_myself() -> None:
    sys.dont_write_bytecode = True
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        parent = os.getppid()
        with contextlib.suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(0)


def main() -> None:
    """Serve the parent over the standard streams; what a library prints goes nowhere."""
    _limit_myself()
    results = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    sys.stdout = sys.stderr
    serve(sys.argv[1], float(sys.argv[2]), sys.stdin, results)


if __name__ == "__main__":
    main()
