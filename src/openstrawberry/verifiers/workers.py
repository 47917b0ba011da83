"""A small pool of processes that can be killed, for checks that may hang, crash or eat memory.

What always holds:

- A job that overruns its deadline is killed together with everything it started, and another process takes its place.
- A process that dies under a job is replaced and the job tried once more.
- Processes are started when first needed, by running `judging.py` in a fresh interpreter (never forked), with an empty
  environment, so that nothing a model wrote is ever evaluated beside the user's keys.
- They end with their parent: see `judging.py` for the child's half of that promise.

Safe to use from many tasks of one event loop at once.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from typing import Literal

Judge = Literal["math", "gym"]

START_S = 120.0
"""Seconds a process may take to import what it needs; a loaded machine can be slow."""

BURIAL_S = 5.0
"""Seconds to wait for the system to report the end of a killed process."""


class WorkerTimeout(Exception):
    """The job overran its deadline, and its process was killed."""


class WorkerDied(Exception):
    """The process ended under the job, twice."""


class Workers:
    """Up to `size` processes that run one kind of judge.

    Args:
        judge: which function of `judging.py` they run.
        size: the most processes alive at once.
        deadline_s: seconds a job may take.
    """

    def __init__(self, judge: Judge, *, size: int = 2, deadline_s: float = 6.0) -> None:
        self.deadline_s = deadline_s
        self._judge = judge
        self._free = asyncio.Semaphore(size)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids of those alive."""
        return tuple(sorted(worker.pid for worker in self._all))

    async def run(self, *arguments: object) -> tuple[str, str]:
        """What the judge says of JSON-able `arguments`: a status and a detail.

        Raises:
            WorkerTimeout: the deadline passed.
            WorkerDied: two processes in a row ended without an answer.
        """
        line = json.dumps(arguments).encode() + b"\n"
        async with self._free:
            for _ in range(2):
                with contextlib.suppress(_Gone):
                    return await self._attempt(line)
        raise WorkerDied("the process that checks answers ended twice without saying anything")

    async def close(self) -> None:
        """Kill every process, at work or not. The pool can be used again afterwards."""
        self._idle.clear()
        while self._all:
            await self._all.pop().kill()

    async def _attempt(self, line: bytes) -> tuple[str, str]:
        worker = self._idle.pop() if self._idle else await self._start()
        try:
            status, detail = await worker.ask(line, self.deadline_s)
        except BaseException:  # also when the task is cancelled: the process would answer a question nobody holds
            self._all.discard(worker)
            await worker.kill()
            raise
        self._idle.append(worker)
        return str(status), str(detail)

    async def _start(self) -> "_Worker":
        worker = _Worker(await _spawn(self._judge, self.deadline_s))
        self._all.add(worker)
        try:
            await worker.ask(b"", START_S)
        except BaseException as error:
            self._all.discard(worker)
            await worker.kill()
            if isinstance(error, WorkerTimeout):
                raise _Gone from error
            raise
        return worker


class _Gone(Exception):
    """The process ended, or said something that is not an answer."""


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid

    async def ask(self, line: bytes, deadline_s: float) -> tuple[object, object]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise _Gone
        try:
            async with asyncio.timeout(deadline_s):
                stdin.write(line)
                await stdin.drain()
                status, detail = json.loads(await stdout.readline())
        except TimeoutError as error:
            raise WorkerTimeout(f"no result after {deadline_s:g} s") from error
        except (OSError, ValueError) as error:
            raise _Gone from error
        return status, detail

    async def kill(self) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):  # a process that is dead but not reported so must not hold anybody up
            await asyncio.wait_for(self._process.wait(), BURIAL_S)


async def _spawn(judge: Judge, deadline_s: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "openstrawberry.verifiers.judging",
        judge,
        str(deadline_s),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a group of its own, to be killed whole, and out of reach of Ctrl-C
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
    )
