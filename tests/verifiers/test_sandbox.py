"""What code that a model wrote cannot do, at every level of containment that this machine permits.

Each level must hold what its column of `CONTAINS` promises; a level that is not permitted here is skipped with the
reason. Every cap here is small, and the first test shows that the one on processes holds before a real bomb is let off.
"""

import asyncio
import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from openstrawberry.verifiers.code import Code
from openstrawberry.verifiers.levels import CONTAINS, LEVELS, Level, processes, weakness
from openstrawberry.verifiers.process import Limits, Ran
from openstrawberry.verifiers.sandbox import Sandbox, Uncontained
from openstrawberry.verifiers.verifier import Verdict
from tests.verifiers.contained import SMALL, code_problem, sandbox_at, verdict

STRONG: tuple[Level, ...] = ("bubblewrap", "namespaces")
each_level = pytest.mark.parametrize("level", LEVELS)
strong_level = pytest.mark.parametrize("level", STRONG)


def says(level: Level, code: str, given: bytes = b"", limits: Limits = SMALL) -> Ran:
    """What `code` prints as a program."""
    sandbox = sandbox_at(level)

    async def run() -> Ran:
        try:
            return await sandbox.program(code, given, limits)
        finally:
            await _closed(sandbox)

    return asyncio.run(run())


async def _closed(sandbox: Sandbox) -> None:
    """Closes it and sees to it that nothing of it goes on."""
    home = str(sandbox.home)
    await sandbox.close()
    assert not left_over(home)


def judged(level: Level, body: str) -> Verdict:
    """The verdict on a function `f` that should return 1; a right one is checked after it, on the same verifier."""
    sandbox, problem = sandbox_at(level), code_problem(tests=["assert f() == 1"])

    async def run() -> Verdict:
        verifier = Code(sandbox=sandbox, limits=SMALL)
        try:
            found = await verifier.verify(problem, f"def f():\n    {body}")
            assert (await verifier.verify(problem, "def f(): return 1")).status == "correct"  # the run goes on
            return found
        finally:
            await _closed(sandbox)

    return asyncio.run(run())


def left_over(mark: str) -> list[str]:
    """Command lines of processes that still run and have `mark` in them."""
    found = []
    for _, number in processes():
        try:
            line = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        found += [line] if mark in line else []
    return found


by_the_kernel = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
kernel_refuses = pytest.mark.skipif(not by_the_kernel, reason="the filter of system calls is for Linux")
FORKS = """
import os, sys, time
made = 0
try:
    while made < 40:
        {fork}
        made += 1
except OSError as error:
    print(made, type(error).__name__)
else:
    print(made)
"""
FORK = "if os.fork() == 0: time.sleep(2); os._exit(0)"
PROGRAM = (  # starts programs without asking Python's own guard
    "r, w = os.pipe(); import _posixsubprocess as p; p.fork_exec([b'/bin/sleep', b'2'], [b'/bin/sleep'], True, (w,), "
    "None, None, -1, -1, -1, -1, -1, -1, r, w, False, False, 0, None, None, None, -1, None, False); "
    "os.close(r); os.close(w)"
)


@each_level
def test_the_number_of_processes_is_capped(level: Level) -> None:
    printed = says(level, FORKS.format(fork=FORK)).output.decode()
    made, error = printed.split()
    assert error == ("PermissionError" if level == "limits" else "BlockingIOError")
    assert int(made) < SMALL.processes


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the way round the guard is another in each Python")
def test_behind_the_guard_the_kernel_caps_processes_too() -> None:
    printed = says("limits", FORKS.format(fork=PROGRAM)).output.decode()
    made, error = printed.split()
    if by_the_kernel:
        assert (made, error) == ("0", "PermissionError")
    else:
        assert error == "BlockingIOError"
        assert int(made) <= SMALL.processes + 4  # as an ordinary user, others of that user may end meanwhile


@each_level
def test_a_fork_bomb_goes_off_inside(level: Level) -> None:
    found = judged(level, "import os\n    while True:\n        os.fork()")
    assert found.status in ("incorrect", "timeout")
    assert "BlockingIOError" in found.detail or "PermissionError: os.fork" in found.detail or "ended" in found.detail


@each_level
def test_threads_are_capped(level: Level) -> None:
    found = judged(
        level,
        "import threading, time\n    for n in range(40):\n"
        "        threading.Thread(target=time.sleep, args=(2,), daemon=True).start()",
    )
    assert (found.status, "can't start new thread" in found.detail) == ("incorrect", True)


@each_level
def test_an_endless_loop_uses_up_its_processor_time(level: Level) -> None:
    found = judged(level, "while True: pass")
    assert (found.status, found.detail) == ("incorrect", "it used more than 1 s of processor time")


@each_level
def test_ten_gigabytes_are_not_to_be_had(level: Level) -> None:
    found = judged(level, "return len(bytearray(10 * 2**30))")
    assert (found.status, found.detail) == ("incorrect", "assert f() == 1: MemoryError")
    bit_by_bit = judged(level, "x = []\n    while True: x.append(bytearray(2**20))")  # slow on a busy machine
    assert bit_by_bit.detail in ("assert f() == 1: MemoryError", "it used more than 1 s of processor time")


@each_level
def test_nothing_is_written_outside_its_folder(level: Level, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in list(tmp_path.parents)[:3]:
        if parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o755)
    target = tmp_path / "theirs"
    tries = (
        f"open({str(target)!r}, 'w')",
        f"pathlib.Path({str(target)!r}).mkdir()",
        f"os.symlink('/', {str(target)!r})",
        f"os.open({str(target)!r}, os.O_RDWR | os.O_CREAT)",
        "open('../theirs', 'w')",
    )
    done = says(
        level, "import os, pathlib\n" + "".join(f"try: {each}\nexcept OSError: print('no')\n" for each in tries)
    )
    assert done.output.decode().split() == ["no"] * len(tries)
    found = judged(level, f"{tries[0]}\n    return 1")
    assert found.status == "incorrect"
    assert any(word in found.detail for word in ("Permission", "Read-only", "No such file")), found
    assert not target.exists()
    assert judged(level, "open('mine', 'w').write('x')\n    return len(open('mine').read())").status == "correct"


@each_level
def test_no_file_grows_beyond_its_limit(level: Level) -> None:
    ran = says(level, "f = open('big', 'wb')\nfor n in range(64): f.write(bytes(2**16)); f.flush()")
    assert ran.signal == 25 or "File too large" in ran.errors


@strong_level
def test_all_files_together_are_bounded(level: Level) -> None:
    ran = says(level, "for n in range(200):\n    open(str(n), 'wb').write(bytes(2**20))")
    assert "No space left" in ran.errors


@each_level
def test_the_environment_holds_none_of_the_users_keys(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    ran = says(level, "import os\nprint(os.environ, os.popen)\nprint(open('/proc/self/environ').read())")
    assert b"sk-secret" not in ran.output
    assert b"OPENAI" not in ran.output
    found = judged(level, "import os\n    return os.environ['OPENAI_API_KEY']")
    assert (found.status, found.detail) == ("incorrect", "assert f() == 1: KeyError: 'OPENAI_API_KEY'")


@each_level
def test_the_parents_environment_cannot_be_read(level: Level, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    environ = f"/proc/{os.getpid()}/environ"
    ran = says(level, f"import os\nfor path in ({environ!r}, '/proc/1/environ'):\n    print(open(path, 'rb').read())")
    assert b"secret" not in ran.output


@each_level
def test_its_home_is_empty_and_its_own(level: Level) -> None:
    ran = says(level, "import os\nprint(os.listdir(os.path.expanduser('~')), os.getcwd() == os.environ['HOME'])")
    assert ran.output == b"[] True\n"


@each_level
def test_no_socket_reaches_anybody(level: Level) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        port = server.getsockname()[1]
        found = judged(level, f"import socket\n    socket.create_connection(('127.0.0.1', {port}), 1)\n    return 1")
        assert found.status == "incorrect"
        assert "refused" in found.detail or "not allowed" in found.detail or "unreachable" in found.detail
        with pytest.raises(TimeoutError):
            server.accept()


@strong_level
def test_only_python_and_system_libraries_can_be_read(level: Level) -> None:
    here = [str(Path(__file__).parent), str(Path.home() / ".bashrc"), "/etc/passwd", "/home", "/var", "/sys"]
    ran = says(level, f"import os\nprint([os.path.exists(path) for path in {here!r}])")
    assert ran.output.decode().strip() == str([False] * len(here))


@strong_level
def test_other_processes_are_out_of_sight(level: Level) -> None:
    ran = says(level, "import os\nprint(sum(name.isdigit() for name in os.listdir('/proc')))")
    assert int(ran.output) <= 4


@each_level
def test_what_outlives_its_parent_is_killed(level: Level) -> None:
    if level == "limits":
        pytest.skip("nothing is started there")
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\n"
    ran = says(level, code)
    assert not ran.overran


@kernel_refuses
@strong_level
@pytest.mark.parametrize("call", ["shmget(0, 2**20, 0o1600)", "memfd_create(b'x', 0)", "unshare(0x10000000)"])
def test_no_memory_that_no_limit_counts_and_no_namespaces_within(level: Level, call: str) -> None:
    code = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nlibc.prctl(4, 1, 0, 0, 0)\n"
    ran = says(level, f"{code}print(libc.{call}, os.strerror(ctypes.get_errno()))")
    assert ran.output == b"-1 Operation not permitted\n"


TRIES = """
import ctypes, os, signal, socket, threading
from openstrawberry.verifiers.inside.seccomp import refuse
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)
assert refuse(libc, alone=True)
for name, attempt in {
    "socket": socket.socket,
    "fork": os.fork,
    "program": lambda: os.execv("/bin/true", ["true"]),
    "signal": lambda: os.kill(os.getppid(), 0),
    "pair": lambda: [end.close() for end in socket.socketpair()],
    "thread": lambda: threading.Thread(target=int).start(),
}.items():
    try:
        attempt()
        print(name, "yes", flush=True)
    except PermissionError:
        print(name, "no", flush=True)
signal.raise_signal(signal.SIGUSR1)
"""


@kernel_refuses
def test_where_no_namespaces_contain_it_the_kernel_refuses_what_reaches_others() -> None:
    done = subprocess.run([sys.executable, "-c", TRIES], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:-1] == ["socket no", "fork no", "program no", "signal no", "pair yes", "thread yes"]
    assert -done.returncode == signal.SIGUSR1  # to itself it may send any


@each_level
def test_privileges_cannot_be_won_back(level: Level) -> None:
    code = (
        "import os, resource\n"
        "status = dict(line.split(':\\t') for line in open('/proc/self/status') if ':\\t' in line)\n"
        "print(status['CapEff'].strip('0\\n') == '', status['NoNewPrivs'].strip())\n"
        "try:\n    resource.setrlimit(resource.RLIMIT_AS, (2**40, 2**40))\nexcept (ValueError, OSError): print('no')\n"
    )
    if os.getuid() == 0:
        code += "print(os.getuid() != 0)\ntry: os.setuid(0)\nexcept PermissionError: print('no')\n"
    lines = says(level, code).output.decode().splitlines()
    assert lines == ["True 1", "no", *(["True", "no"] if os.getuid() == 0 else [])]


@each_level
def test_a_crash_is_a_verdict(level: Level) -> None:
    found = judged(level, "import os, signal\n    signal.raise_signal(signal.SIGSEGV)")
    assert (found.status, found.detail) == ("incorrect", "it crashed (SIGSEGV)")


@each_level
def test_what_waits_for_ever_is_a_time_out(level: Level) -> None:
    sandbox = sandbox_at(level)
    hurried = Limits(**{**vars(SMALL), "patience_s": 2})
    problem = code_problem(tests=["assert f() == 1"])
    found = verdict(problem, "def f():\n    import time\n    time.sleep(60)", sandbox, hurried)
    assert (found.status, found.detail) == ("timeout", "not done after 2 s by the clock")


@each_level
def test_nothing_of_it_is_left_on_the_disk(level: Level) -> None:
    sandbox = sandbox_at(level)

    async def run() -> Path:
        await sandbox.program("open('x', 'w').write('y')", b"", SMALL)
        assert sandbox.home is not None
        assert [path.name for path in sandbox.home.iterdir()] == ["lib"]
        home = sandbox.home
        await sandbox.close()
        return home

    assert not asyncio.run(run()).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_contained_code_dies_with_a_strawberry_that_was_killed() -> None:
    parent = """
import asyncio
import os
from openstrawberry.verifiers.process import Limits
from openstrawberry.verifiers.sandbox import Sandbox

async def main():
    sandbox = Sandbox()
    await sandbox.way()
    job = asyncio.ensure_future(sandbox.program("import time; time.sleep(100)", b"", Limits()))
    inner = []
    while not inner:
        await asyncio.sleep(0.01)
        for number in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = open(f"/proc/{number}/cmdline", "rb").read().split(b"\\0")
            except OSError:
                continue
            if str(sandbox.home / "lib").encode() in words and words[0] == sandbox.found.python.encode():
                inner.append(number)
    print(inner[0], flush=True)
    await job

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.skip("code cannot be contained here")
        descriptor = os.pidfd_open(int(line))
        process.kill()
        process.wait()
    ended = asyncio.run(_readable(descriptor))
    os.close(descriptor)
    assert ended


async def _readable(descriptor: int) -> bool:
    """Whether the process behind a pidfd ends within ten seconds."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, ended.set)
    async with asyncio.timeout(10):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(descriptor)
    return True


def test_where_nothing_works_nothing_is_run_and_the_verdict_is_unknown() -> None:
    sandbox = Sandbox(levels=("none",))
    found = verdict(code_problem(tests=["assert f() == 1"]), "def f(): return 1", sandbox)
    assert found.status == "unknown"
    assert "not run" in found.detail

    async def warned() -> str:
        verifier = Code(sandbox=Sandbox(levels=("none",)))
        with pytest.raises(Uncontained):
            await verifier.sandbox.way()
        return await verifier.warning()

    assert "not run" in asyncio.run(warned())


def test_the_table_in_the_docs_is_the_one_in_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "code.md").read_text(encoding="utf-8")
    table = [f"| {' | '.join((what, *held))} |" for what, held in CONTAINS.items()]
    assert "\n".join([f"| | {' | '.join(LEVELS)} |", "|---|---|---|---|", *table]) in text


def test_the_weak_level_is_warned_of_and_the_strong_ones_are_not() -> None:
    assert [bool(weakness(level)) for level in LEVELS] == [False, False, True]
    assert all(len(row) == len(LEVELS) for row in CONTAINS.values())
