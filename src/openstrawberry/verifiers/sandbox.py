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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from openstrawberry.verifiers.levels import LEVELS, PATH, ROOM, WORK, Level, Way, own_user_number, processes, ways

BURIAL_S = 5.0
"""Seconds to wait for the system to report the end of a killed process."""

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


@dataclass(frozen=True)
class Limits:
    """What a contained process may use; it dies, or is refused more.

    `cpu_s` is processor time, `memory` address space, both of each process; `patience_s` is time by the clock, 0 for
    what goes with the processor time.
    """

    cpu_s: int = 10
    memory: int = 2**30
    file_bytes: int = 16 * 2**20
    files: int = 64
    processes: int = 8
    patience_s: int = 0

    @property
    def inside(self) -> dict[str, int]:
        """Those that a process sets itself."""
        own = {name: value for name, value in asdict(self).items() if name != "patience_s"}
        return {**own, "alarm_s": int(self.wall_s) + 5}

    @property
    def wall_s(self) -> float:
        """Seconds by the clock: more than the processor time, as others may use the machine too."""
        return self.patience_s or 3.0 * self.cpu_s + 10


@dataclass(frozen=True)
class Ran:
    """How a process ended: what it wrote, its exit status and, where a signal ended it, that signal.

    `errors` is the last line of what it wrote to standard error. `overran` says that it was killed because it took too
    long by the clock, `flooded` because it wrote too much.
    """

    output: bytes = b""
    errors: str = ""
    status: int = 0
    overran: bool = False
    flooded: bool = False

    @property
    def signal(self) -> int:
        """The number of the signal, 0 for none."""
        return -self.status if self.status < 0 else self.status - 128 if 128 < self.status < 128 + 65 else 0


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
        for process in list(self.running):
            await self._kill(process)
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
                return await self._ran(process, given, limits.wall_s)

    async def _judged(self, way: Way, job: bytes, limits: Limits) -> tuple[Ran, Ran]:
        ends = [*os.pipe(), *os.pipe()]  # to the solution: read, write; to the judge: read, write
        try:
            async with (
                self._started(way, "solution", limits, (ends[0], ends[3])) as solution,
                self._started(way, "judge", limits, (ends[2], ends[1])) as judge,
            ):
                while ends:
                    os.close(ends.pop())
                judged = await self._ran(judge, job, limits.wall_s)
                with contextlib.suppress(TimeoutError):  # it ends when its judge does, unless it is stuck
                    await asyncio.wait_for(solution.wait(), 0.5)
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
        process = await asyncio.create_subprocess_exec(
            command[0], *command[1:], env=_environment(folder if bare else Path(WORK)), **how
        )
        self.running.add(process)
        try:
            yield process
        finally:
            await self._kill(process)
            if bare and user is not None:
                _kill_user(user)
            shutil.rmtree(folder, ignore_errors=True)

    async def _ran(self, process: asyncio.subprocess.Process, given: bytes, wall_s: float) -> Ran:
        output, errors = bytearray(), bytearray()
        reading = [_read(process.stdout, output, self.output), _read(process.stderr, errors, self.output)]
        work = [asyncio.create_task(each) for each in [*reading, _feed(process, given)]]
        try:
            async with asyncio.timeout(wall_s):
                await asyncio.wait(work[:2], return_when=asyncio.FIRST_EXCEPTION)
                flooded = any(task.exception() for task in work[:2] if task.done())
                if not flooded:
                    await process.wait()
        except TimeoutError:
            return Ran(bytes(output), overran=True)
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
        said = errors.decode("utf-8", "replace").strip().splitlines()
        return Ran(bytes(output), said[-1][:200] if said else "", process.returncode or 0, flooded=flooded)

    async def _kill(self, process: asyncio.subprocess.Process) -> None:
        self.running.discard(process)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # also after its own end: others of its group may go on
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), BURIAL_S)

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


class _Flooded(Exception):
    """More was written than is read."""


async def _read(stream: asyncio.StreamReader | None, into: bytearray, most: int) -> None:
    while stream is not None and (part := await stream.read(65_536)):
        into += part[: most - len(into) + 1]
        if len(into) > most:
            raise _Flooded


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(OSError):  # it may end without reading
        process.stdin.write(given)
        await process.stdin.drain()
        process.stdin.close()


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


__all__ = ["ROOM", "Limits", "Ran", "Sandbox", "Uncontained"]
