"""System calls that the kernel refuses to code that a model wrote: seccomp, on Linux, for x86-64 and arm64.

At every level: new namespaces, keys of the user's session, tracing, and memory that no limit counts (shared segments,
files in memory). Where no namespaces contain the process (`alone`) also sockets, programs, processes, and signals to
others. A pair of sockets that are joined to each other is allowed, as event loops need one.

What always holds: a filter is for good, also for whatever the process starts. A refused call fails with EPERM, so that
Python raises PermissionError.
"""

import ctypes
import os
import platform
import struct
import sys

_NEITHER = 2**30 - 1  # no system call has this number
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column below, what the kernel calls it
_REFUSED = {
    **{"shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "memfd_create": (319, 279)},
    **{"memfd_secret": (447, 447), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    **{"unshare": (272, 97), "setns": (308, 268), "ptrace": (101, 117), "process_vm_readv": (310, 270)},
    **{"process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "perf_event_open": (298, 241), "bpf": (321, 280)},
    **{"userfaultfd": (323, 282), "io_uring_setup": (425, 425)},
}
_REFUSED_ALONE = {
    **{"socket": (41, 198), "fork": (57, _NEITHER), "vfork": (58, _NEITHER), "execve": (59, 221)},
    **{"execveat": (322, 281), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
    **{"pidfd_send_signal": (424, 424)},
}
_SIGNALS = {"kill": (62, 129), "tgkill": (234, 131)}
_CLONE, _CLONE3 = (56, 220), 435
_THREAD, _NAMESPACES = 0x00010000, 0x7E020000  # flags of clone

_LOAD, _EQUAL, _AT_LEAST, _ANY_OF, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENT = 0, 4, 16  # where they stand in what the filter is shown
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
_SET_SECCOMP, _FILTER = 22, 2
Step = tuple[int, int, int, int]  # what to do, steps to leave out if so and if not, the value


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def refuse(libc: ctypes.CDLL, alone: bool) -> bool:
    """Has the kernel refuse them from now on; the process must have given up new privileges. Says whether it does."""
    if platform.machine() not in _MACHINES or sys.maxsize < 2**32:  # a Python of 32 bits has other numbers
        return False
    steps = _steps(*_MACHINES[platform.machine()], alone)
    packed = b"".join(struct.pack("HBBI", *step) for step in steps)
    return bool(libc.prctl(_SET_SECCOMP, _FILTER, ctypes.byref(_Program(len(steps), packed)), 0, 0) == 0)


def _steps(column: int, machine: int, alone: bool) -> list[Step]:
    steps: list[Step] = [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _EPERM),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _NEITHER),  # calls in the manner of x32
        (_RETURN, 0, 0, _EPERM),
        (_EQUAL, 0, 1, _CLONE3),  # its flags cannot be seen: without it libraries use clone
        (_RETURN, 0, 0, _ENOSYS),
    ]
    for numbers in (*_REFUSED.values(), *(_REFUSED_ALONE.values() if alone else ())):
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _EPERM)]
    for numbers in _SIGNALS.values() if alone else ():
        to_itself = (_EQUAL, 0, 1, os.getpid())
        steps += [(_EQUAL, 0, 4, numbers[column]), (_LOAD, 0, 0, _ARGUMENT), to_itself]
        steps += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _EPERM)]
    threads: list[Step] = [(_ANY_OF, 1, 0, _THREAD), (_RETURN, 0, 0, _EPERM)] if alone else []
    clone: list[Step] = [(_LOAD, 0, 0, _ARGUMENT), (_ANY_OF, 0, 1, _NAMESPACES), (_RETURN, 0, 0, _EPERM), *threads]
    return [*steps, (_EQUAL, 0, len(clone), _CLONE[column]), *clone, (_RETURN, 0, 0, _ALLOW)]
