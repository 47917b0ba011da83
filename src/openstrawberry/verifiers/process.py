"""One process: what it may use, how it is fed, read and killed, and how it ended."""

import asyncio
import contextlib
import os
import signal
from dataclasses import asdict, dataclass

BURIAL_S = 5.0
"""Seconds to wait for the system to report the end of a killed process."""


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
    long by the clock, `flooded` because it wrote too much. Unless it has `begun`, nothing of the code was run.
    """

    output: bytes = b""
    errors: str = ""
    status: int = 0
    overran: bool = False
    flooded: bool = False
    begun: bool = True

    @property
    def signal(self) -> int:
        """The number of the signal, 0 for none."""
        return -self.status if self.status < 0 else self.status - 128 if 128 < self.status < 128 + 65 else 0


async def run_to_end(process: asyncio.subprocess.Process, given: bytes, wall_s: float, most: int) -> Ran:
    """Feeds and reads a process until it ends, for at most `wall_s` seconds and `most` bytes; kills nothing."""
    output, errors = bytearray(), bytearray()
    reading = [_read(process.stdout, output, most), _read(process.stderr, errors, most)]
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


async def kill(process: asyncio.subprocess.Process, others: bool = False) -> None:
    """Kills a process with its whole group; `others`: also where it has ended, as some of the group may go on."""
    if process.returncode is None or others:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(BURIAL_S):
            for stream in (process.stdout, process.stderr):  # until they are read to their end, asyncio waits for them
                while stream is not None and await stream.read(65_536):
                    continue
            await process.wait()


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
