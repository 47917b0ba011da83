"""How strongly code that a model wrote is contained: three levels, the strongest that this machine permits is used.

`bubblewrap` and `namespaces` promise the same; the first leaves the work to a program that was made for it, the second
does it with `unshare`, `mount` and `pivot_root`. `limits` is what remains where neither is permitted. `CONTAINS` says
what holds at each; tests hold every level to its column.

What always holds: no key of the user's is in the environment, the home is empty and temporary, processor time, memory,
file size, open files and processes are limited for good, as root a process runs under a user number of its own, and on
Linux the kernel refuses the system calls that `inside/seccomp.py` lists.
"""

import os
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["bubblewrap", "namespaces", "limits", "none"]

LEVELS: tuple[Level, ...] = ("bubblewrap", "namespaces", "limits")
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
WORK = "/work"
ROOM = 64 * 2**20
"""Bytes that code may leave in its folder, where the level can bound them."""

_OPEN = "files outside its folder are" if sys.platform == "linux" else "the network and files outside its folder are"
WEAKER = (
    "Code that a model wrote runs with limits only, as neither bubblewrap nor namespaces are permitted here: "
    f"{_OPEN} barred by Python alone, which determined code gets round. Install bubblewrap, or run this in a container "
    "of its own."
)

_KERNEL = "by the kernel"
_PYTHON = "by Python alone: code that goes round it is not stopped"
_FILES = f"{_PYTHON}; as root, file permissions of a user of its own do"
_LINUX = "by the kernel on Linux, by Python alone on macOS"
CONTAINS: dict[str, tuple[str, str, str]] = {  # what is contained: at bubblewrap, namespaces, limits
    "processor time, memory, file size": (_KERNEL, _KERNEL, _KERNEL),
    "number of processes": (_KERNEL, _KERNEL, f"{_KERNEL}; on Linux no other is started at all"),
    "namespaces, keys and uncounted memory of the kernel's": (_KERNEL, _KERNEL, _LINUX),
    "keys in the environment": ("there are none", "there are none", "there are none"),
    "network, signals to others": ("there is none", "there is none", _LINUX),
    "writing outside its folder": (_KERNEL, _KERNEL, _FILES),
    "reading files": (
        "only Python and system libraries are there",
        "only Python and system libraries are there",
        _FILES,
    ),
    "bytes written in all": ("64 MiB", "64 MiB", "not bounded, only each file"),
    "processes left behind": (_KERNEL, _KERNEL, "killed with their group; as root, with their user number"),
}

_USER_NUMBERS = range(61_184, 65_520)  # what systemd sets aside for users that exist while something runs
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc/ld.so.cache", "/nix/store")
_DEVICES = ("null", "zero", "urandom", "random")
_STREAMS = (("/dev/stdin", "/proc/self/fd/0"), ("/dev/stdout", "/proc/self/fd/1"), ("/dev/stderr", "/proc/self/fd/2"))

# Arguments: folder for the new root, bytes of room, then pairs of words up to `--`, then the command.
_NEW_ROOT = """
set -e
root=$1 room=$2; shift 2
mount -t tmpfs -o mode=755 tmpfs "$root"
while [ "$1" != -- ]; do
    case $1 in
        link) mkdir -p "$(dirname "$root$2")"; ln -s "$3" "$root$2"; shift 3 ;;
        bind)
            if [ -d "$2" ]; then mkdir -p "$root$2"; else mkdir -p "$(dirname "$root$2")"; : > "$root$2"; fi
            mount --bind "$2" "$root$2"; mount -o remount,bind,ro "$root$2"; shift 2 ;;
        device) mkdir -p "$root/dev"; : > "$root/dev/$2"; mount --bind "/dev/$2" "$root/dev/$2"; shift 2 ;;
    esac
done
shift
mkdir -p "$root/proc" "$root/work" "$root/old"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777,size="$room" tmpfs "$root/work"
cd "$root"
pivot_root . old
cd /work
umount -l /old; rmdir /old; unset OLDPWD
mount -o remount,bind,ro /
"$@"
exit $?
"""


@dataclass(frozen=True)
class Way:
    """One way to start a contained process: a level, and the Python that runs there."""

    level: Level
    python: str

    @property
    def in_namespaces(self) -> bool:
        """Whether the process has a file system, a network and process numbers of its own."""
        return self.level in ("bubblewrap", "namespaces")

    def command(self, lib: Path, empty: Path, user: int | None, inner: list[str]) -> list[str]:
        """The command line that runs `inner` contained.

        Args:
            lib: folder that is readable inside, under the same path.
            empty: an empty folder that the command may mount something on.
            user: the user number to change to, for root.
            inner: arguments of Python.
        """
        wanted = [self.python, "-S", "-s", "-B", *inner]
        if self.level == "bubblewrap":
            return [*_bubblewrap(self.python, lib, user), *_drop(user), *wanted] if user else [
                *_bubblewrap(self.python, lib, user), *wanted
            ]  # fmt: skip
        if self.level == "namespaces":
            return [*_unshare(self.python, lib, empty, user), *_drop(user), *wanted]
        return wanted


def ways() -> Iterator[Way]:
    """Every way that may work here, the strongest first; trying is the only proof."""
    own = _own_python()
    if sys.platform == "linux":
        if shutil.which("bwrap"):
            yield Way("bubblewrap", own)
        if all(shutil.which(tool, path=PATH) for tool in ("unshare", "setpriv", "mount", "pivot_root")):
            yield Way("namespaces", own)
    if sys.platform in ("linux", "darwin"):
        yield Way("limits", own)
        for other in ("/usr/local/bin/python3", "/usr/bin/python3"):  # root's own may be out of reach for others
            if Path(other).exists() and os.path.realpath(other) != own:
                yield Way("limits", other)


def weakness(level: Level) -> str:
    """What a person should know before code is run at `level`; empty where nothing is missing."""
    return WEAKER if level == "limits" else ""


def own_user_number(alone: bool) -> int | None:
    """A user number to run one process under; None unless this is root, who alone can change.

    `alone`: nothing else runs under it now, so that all that does later can be killed.
    """
    if os.getuid() != 0:
        return None
    taken = {user for user, _ in processes()} if alone else set()
    return random.SystemRandom().choice([number for number in _USER_NUMBERS if number not in taken])


def processes() -> Iterator[tuple[int, int]]:
    """User number and process number of everything that runs (Linux)."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            lines = status.read_text().splitlines()
        except OSError:
            continue  # it has just ended
        yield int(next(line for line in lines if line.startswith("Uid:")).split()[1]), int(status.parent.name)


def _own_python() -> str:
    """This Python outside of its virtual environment."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    path = Path(sys.base_prefix) / "bin" / name
    return os.path.realpath(path if path.exists() else sys.executable)


def _shown(python: str, lib: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Paths that must be readable inside, and the links among them with what they point to."""
    paths, links = [], []
    for path in _SYSTEM:
        if Path(path).is_symlink():
            links.append((path, str(Path(path).readlink())))
        elif Path(path).exists():
            paths.append(path)
    for extra in (os.path.realpath(sys.base_prefix), str(Path(python).parent), str(lib)):
        if not any(extra == path or extra.startswith(path + "/") for path in paths):
            paths.append(extra)
    return paths, links


def _bubblewrap(python: str, lib: Path, user: int | None) -> list[str]:
    paths, links = _shown(python, lib)
    command = [
        shutil.which("bwrap") or "bwrap",
        "--die-with-parent",
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
    ]
    command += ["--unshare-uts"]
    if user is None:
        command += ["--unshare-user"]
    else:
        command += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    for path in paths:
        for parent in list(Path(path).parents)[-2::-1]:  # those that bubblewrap makes itself are its user's alone
            command += ["--perms", "0755", "--dir", str(parent)]
        command += ["--ro-bind", path, path]
    for path, target in links:
        command += ["--symlink", target, path]
    command += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--size", str(ROOM), "--tmpfs", WORK]
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK, "--"]


def _unshare(python: str, lib: Path, empty: Path, user: int | None) -> list[str]:
    paths, links = _shown(python, lib)
    command = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", *(["--map-root-user"] if user is None else [])]
    command += ["--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    command += ["--", "/bin/sh", "-c", _NEW_ROOT, "sh", str(empty), str(ROOM)]
    for path in paths:
        command += ["bind", path]
    for path, target in (*links, *_STREAMS):
        command += ["link", path, target]
    for device in _DEVICES:
        command += ["device", device]
    return [*command, "--"]


def _drop(user: int | None) -> list[str]:
    """Gives up every privilege, and becomes `user` where that is asked for."""
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    if user is not None:
        command += [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    return [*command, "--"]
