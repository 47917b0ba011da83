"""Runs code that a model wrote, contained as strongly as this machine permits (see `levels.py`).

What always holds: a process has a group of its own and is killed with everything that it started, on time-out, on
cancellation and when it is done; its output is read up to a bound; no more run at once than there are cores; the event
loop never waits for any of them.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from openstrawberry.verifiers.levels import LEVELS, PATH, WORK, Level, Way, own_user_number, processes, ways
from openstrawberry.verifiers.process import BURIAL_S, Limits, Ran, kill, run_to_end

PROBE_S = 30
"""Seconds by the clock in which a way to contain must show that it works."""

_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); from inside.start import main; main()"
_INSIDE = Path(__file__).parent / "inside"
_PIPE, _NOWHERE = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
Role = Literal["program", "judge", "solution"]
_STREAMS: dict[Role, dict[str, Any]] = {
    "program": {"stdin": _PIPE, "stdout": _PIPE, "stderr": _PIPE},
    "judge": {"stdin": _PIPE, "stdout": _PIPE, "stderr": _NOWHERE},
    "solution": {"stdin": _NOWHERE, "stdout": _NOWHERE, "stderr": _NOWHERE},
}


class Uncontained(Exception):
    """No level works on this machine; the message says what to do."""


@dataclass
class Sandbox:
    """Starts contained processes.

    Args:
        levels: those to choose from; the strongest that works is taken.
        output: the most bytes that are read from a process.
        found: the way that is taken, where it is known already.
        nothing_works: why none was found, once that was tried.
    """

    levels: tuple[Level, ...] = LEVELS
    output: int = 2**20
    found: Way | None = None
    nothing_works: str = ""
    home: Path | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    running: set[asyncio.subprocess.Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._free = asyncio.Semaphore(os.cpu_count() or 1)

    async def way(self) -> Way:
        """How things are contained here; found by trying, once.

        Raises:
            Uncontained: no way works.
        """
        async with self._lock:
            if self.found is None and not self.nothing_works:
                await self._find()
            if self.found is None:
                raise Uncontained(self.nothing_works)
            return self.found

    async def program(self, code: str, given: bytes, limits: Limits) -> Ran:
        """Runs `code` as a program that reads `given` from its standard input.

        Raises:
            Uncontained: no way works.
        """
        async with self._free:
            return await self._program(await self.way(), code, given, limits)

    async def judged(self, job: dict[str, Any], limits: Limits) -> tuple[Ran, Ran]:
        """Runs the tests of `job` against its code: how the judge ended (its output: the outcomes), and the solution.

        Raises:
            Uncontained: no way works.
        """
        async with self._free:
            way = await self.way()
            return await self._judged(way, json.dumps(job).encode(), limits)

    async def close(self) -> None:
        """Kills what still runs and removes every file."""
        while self.running:
            await kill(self.running.pop())
        if self.home is not None:
            shutil.rmtree(self.home, ignore_errors=True)
            self.home = None

    async def _find(self) -> None:
        tried = []
        for way in ways():
            if way.level not in self.levels:
                continue
            with contextlib.suppress(OSError):
                ran = await self._program(way, "print('ready')", b"", Limits(cpu_s=5, patience_s=PROBE_S))
                if ran.output == b"ready\n":
                    self.found = way
                    return
            tried.append(way.python)
        self.nothing_works = "Code cannot be run contained here, so it is not run: " + (
            f"{tried[0]} cannot be started as another user than root; install bubblewrap, or run strawberry as an "
            "ordinary user."
            if tried and os.getuid() == 0
            else "that needs Linux or macOS, best with bubblewrap installed."
        )

    async def _program(self, way: Way, code: str, given: bytes, limits: Limits) -> Ran:
        with tempfile.TemporaryFile() as file:
            file.write(code.encode("utf-8", "surrogatepass"))
            file.seek(0)
            async with self._started(way, "program", limits, (file.fileno(),)) as process:
                ran = await run_to_end(process, given, limits.wall_s, self.output)
            return replace(ran, begun=not os.fstat(file.fileno()).st_size)  # emptied when all was in place

    async def _judged(self, way: Way, job: bytes, limits: Limits) -> tuple[Ran, Ran]:
        ends = [*os.pipe(), *os.pipe()]  # to the solution: read, write; to the judge: read, write
        try:
            async with (
                self._started(way, "solution", limits, (ends[0], ends[3])) as solution,
                self._started(way, "judge", limits, (ends[2], ends[1])) as judge,
            ):
                while ends:
                    os.close(ends.pop())
                judged = await run_to_end(judge, job, limits.wall_s, self.output)
                if not judged.overran:
                    with contextlib.suppress(TimeoutError):  # it ends when its judge does, unless it is stuck
                        await asyncio.wait_for(solution.wait(), BURIAL_S)
                return judged, Ran(status=solution.returncode or 0, overran=solution.returncode is None)
        finally:
            for end in ends:
                os.close(end)

    @contextlib.asynccontextmanager
    async def _started(
        self, way: Way, role: Role, limits: Limits, descriptors: tuple[int, ...]
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A contained process; at the end it is killed with all that it started, and its folder is gone."""
        user = own_user_number(alone=not way.in_namespaces)
        folder = Path(tempfile.mkdtemp(dir=self._lib().parent))
        bare = not way.in_namespaces
        told = {**limits.inside, "share_processes": bare and user is None, "guarded": bare}
        inner = ["-c", _BEGIN, str(self._lib()), role, json.dumps(told), *map(str, descriptors)]
        command = way.command(self._lib(), folder, user, inner)
        how: dict[str, Any] = {**_STREAMS[role], "pass_fds": descriptors, "start_new_session": True, "cwd": folder}
        if bare and user is not None:
            os.chown(folder, user, user)
            how |= {"user": user, "group": user, "extra_groups": []}
        how["env"] = _environment(folder if bare else Path(WORK))
        starting = asyncio.ensure_future(asyncio.create_subprocess_exec(command[0], *command[1:], **how))
        try:
            process = await asyncio.shield(starting)  # half started it could not be killed whole
            self.running.add(process)
            if user is not None and process.stdin is not None:  # a program may open /dev/stdin, which would be root's
                with contextlib.suppress(ValueError):  # it has ended, and its pipe is closed
                    os.fchmod(process.stdin.get_extra_info("pipe").fileno(), 0o666)
            yield process
        finally:
            with contextlib.suppress(OSError):
                self.running.discard(process := await starting)
                await kill(process, others=bare)
            if bare and user is not None:
                _kill_user(user)
            shutil.rmtree(folder, ignore_errors=True)

    def _lib(self) -> Path:
        """The folder with what runs inside, which any user may read."""
        if self.home is None:
            self.home = Path(tempfile.mkdtemp(prefix="strawberry-sandbox-"))
            self.home.chmod(0o755)
            for path in _INSIDE.glob("*.py"):
                target = self.home / "lib" / "inside" / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
        return self.home / "lib"


def _environment(work: Path) -> dict[str, str]:
    """All that a contained process is told: nothing of the user's."""
    return {
        "HOME": str(work),
        "TMPDIR": str(work),
        "PATH": PATH,
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "OMP_NUM_THREADS": "1",
    }


def _kill_user(user: int) -> None:
    """Kills whatever runs under a user number that was made for one process, until nothing does."""
    for _ in range(100):
        left = [process for owner, process in processes() if owner == user]
        if not left:
            return
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
