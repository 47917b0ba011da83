"""How a process inside the sandbox begins: it limits itself for good, then plays its role.

Run as `python -c "..." LIB ROLE LIMITS DESCRIPTORS`. Roles: `judge` (its job on standard input, the outcomes on
standard output, the line to the solution on two more descriptors), `solution` (the other end of that line), and
`program` (the code, in a file that is open already, runs as a program of its own with the standard streams).
"""

import builtins
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO, TextIO


def main() -> None:
    """Plays the role that the command line names."""
    role, limits = sys.argv[2], json.loads(sys.argv[3])
    for name in ("exit", "quit"):  # programs end by them, and only `site` would bring them
        setattr(builtins, name, sys.exit)
    sys.path.remove(sys.argv[1])
    sys.path[:] = [entry for entry in sys.path if entry]
    if role == "program":
        with os.fdopen(int(sys.argv[4]), "r+b") as file:
            code = file.read()
            limit_myself(**limits)
            file.truncate(0)  # the sign that all is in place: whatever fails from here on is the code's own doing
        sys.argv[:] = ["solution.py"]
        exec(compile(code, "<solution>", "exec"), {"__name__": "__main__"})
        return
    incoming, outgoing = os.fdopen(int(sys.argv[4]), "rb"), os.fdopen(int(sys.argv[5]), "wb")
    if role == "judge":
        _judge(limits, incoming, outgoing)
    else:
        from . import solution

        limit_myself(**limits)
        sys.argv[:] = ["solution.py"]
        solution.run(incoming, outgoing)


def _judge(limits: dict[str, Any], incoming: BinaryIO, outgoing: BinaryIO) -> None:
    from . import judge

    job = json.loads(sys.stdin.buffer.read())
    results: TextIO = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the tests print is no verdict
    limit_myself(**limits)
    results.write(judge.run(job, incoming, outgoing))
    results.flush()
    os._exit(0)  # nothing that the tests left behind runs any more


def limit_myself(
    cpu_s: int,
    memory: int,
    file_bytes: int,
    files: int,
    processes: int,
    alarm_s: int,
    share_processes: bool,
    guarded: bool,
) -> None:
    """Sets limits that this process and its children can never raise again.

    Args:
        cpu_s: seconds of processor time of each process; then it ends by SIGXCPU, and a second later by SIGKILL.
        memory: bytes of address space of each process.
        file_bytes: of the longest file.
        files: descriptors open at once.
        processes: processes and threads.
        alarm_s: seconds by the clock after which it ends by itself, should nobody be left to end it.
        share_processes: whether others run under this user's number, so that `processes` come on top of them.
        guarded: whether Python itself is to refuse what nothing else here would.
    """
    import resource

    signal.alarm(alarm_s)
    taken = _tasks_of(os.getuid()) if share_processes else 0
    wanted = [
        (resource.RLIMIT_CPU, cpu_s, cpu_s + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, file_bytes, file_bytes),
        (resource.RLIMIT_NOFILE, files, files),
        (resource.RLIMIT_NPROC, taken + processes, taken + processes),
        (resource.RLIMIT_CORE, 0, 0),
    ]
    for kind, soft, hard in wanted:
        ceiling = resource.getrlimit(kind)[1]
        most = hard if ceiling == resource.RLIM_INFINITY else min(hard, ceiling)
        try:
            resource.setrlimit(kind, (min(soft, most), most))
        except (OSError, ValueError):
            if sys.platform == "linux":  # elsewhere some limits exist in name only
                raise
    _give_up_privileges(alone=guarded)
    if guarded:
        guard(os.path.realpath("."))


def _tasks_of(user: int) -> int:
    """Threads that run under this user's number now."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":\t", 1) for line in path.read_text().splitlines() if ":\t" in line)
            count += int(lines["Threads"]) if int(lines["Uid"].split()[0]) == user else 0
        except (OSError, ValueError, KeyError):
            continue  # it has just ended
    return count or 256


def _give_up_privileges(alone: bool) -> None:
    """Bars other processes of the same user from this one's memory, programs from raising its rights, and what
    `seccomp.py` has (Linux).

    Should the machine run out of memory, this process is the first that the system ends.
    """
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
        import ctypes

        from .seccomp import refuse

        libc = ctypes.CDLL(None)
        libc.prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        refuse(libc, alone)
    except (ImportError, OSError, AttributeError):
        return


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LOCAL = 1  # AF_UNIX
_SYSTEM = ("/usr", "/lib", "/lib64", "/nix/store", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_NEVER = (
    *("socket.", "ctypes.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty."),
    *("os.kill", "signal.pthread_kill", "resource.prlimit", "fcntl.", "webbrowser.", "ftplib.", "smtplib."),
)
_TOUCHING = (
    *("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate"),
    *("os.utime", "os.setxattr", "os.removexattr", "shutil.", "sqlite3.connect"),
)


def guard(folder: str) -> None:
    """Makes Python refuse sockets, programs, forks, writing outside `folder`, and reading anything but that and Python.

    Code that goes round Python may.
    """
    library = str(Path(__file__).parent)
    readable = [folder, f"/proc/{os.getpid()}", *map(os.path.realpath, (sys.base_prefix, library, *sys.path, *_SYSTEM))]

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING and path != os.devnull:
                if _outside(path, [folder]):
                    raise PermissionError(f"writing outside its folder is not allowed: {path}")
            elif _outside(path, readable):
                raise PermissionError(f"reading outside its folder is not allowed: {path}")
        elif event == "socket.__new__" and arguments[1] == _LOCAL:
            return  # the two ends of a pair, as asyncio needs them; no other can be connected or bound
        elif event.startswith(_NEVER):
            raise PermissionError(f"{event} is not allowed here")
        elif event.startswith(_TOUCHING):
            touched = [each for each in arguments if isinstance(each, str | bytes | os.PathLike)]
            if any(_outside(each, [folder]) for each in touched):
                raise PermissionError(f"{event} outside its folder is not allowed")

    sys.addaudithook(hook)


def _outside(path: Any, folders: list[str]) -> bool:
    if isinstance(path, int):
        return False
    return not (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(tuple(each + os.sep for each in folders))
