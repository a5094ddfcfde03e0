"""A Linux jail for one process: nothing to read that matters, nobody to talk to, limits on everything.

Built once and entered often. `build` moves the zygote into namespaces of its own, whose root holds only what a
learner's code may see; `enter`, called in each forked child, adds what must not be shared between two submissions
(processes, network, scratch space) and gives up every right. All through system calls, because a program such as
bubblewrap would start a new interpreter and lose the libraries that are already imported.

Needs Linux 5.14 or newer (a process limit that counts per user namespace) and permission to make user namespaces.
"""

# System calls on exact paths: pathlib would only hide what happens.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH108, PTH110, PTH114, PTH115, PTH116, PTH120, PTH208, PTH211
from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import stat
import struct
from pathlib import Path

from grader.policy import CHECK_STUB, Limits, View, limit_this_process

_libc = ctypes.CDLL(None, use_errno=True)

# --- system calls -----------------------------------------------------------------------------------------------------

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
_MNT_DETACH = 2
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 47, 4, 22, 2
# These have the same numbers on all architectures that matter here (they are newer than the common table).
_SYS_MOUNT_SETATTR, _SYS_LANDLOCK_CREATE, _SYS_LANDLOCK_ADD, _SYS_LANDLOCK_RESTRICT = 442, 444, 445, 446
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_CAPSET = {"x86_64": 126, "aarch64": 91}


class JailError(Exception):
    """This machine cannot build the jail; the text says which step failed and why."""


def _checked(result: int, what: str) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise JailError(f"{what}: {os.strerror(code)}")
    return result


def _prctl(option: int, *args: int) -> int:
    padded = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    return _libc.prctl(option, *padded)


def _syscall(number: int, what: str, *args: object) -> int:
    plain = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(_libc.syscall(ctypes.c_long(number), *plain), what)


def _unshare(flags: int, what: str) -> None:
    _checked(_libc.unshare(flags), f"unshare {what}")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    encoded = [os.fsencode(text) for text in (source, target, kind, options)]
    _checked(
        _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3] or None),
        f"mount {kind or 'bind'} {target}",
    )


def _read_only(path: str, *, recursive: bool) -> None:
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)
    flags = _AT_RECURSIVE if recursive else 0
    _syscall(_SYS_MOUNT_SETATTR, f"read-only {path}", _AT_FDCWD, os.fsencode(path), flags, attributes, len(attributes))


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends, however it ends."""
    _prctl(_PR_SET_PDEATHSIG, 9)


JAIL_UID = 1000
# The user that a jail built by root runs as outside: "nobody".
_OUTER_UID = 65534


# --- building it, once ------------------------------------------------------------------------------------------------


def build(view: View) -> None:
    """Move this process into a room of its own and fork; returns in the child only, which is process 1 in there.

    The parent stays outside, waits, and ends as the child ends. When it is killed, the kernel ends all that is inside.

    Raises:
        JailError: this machine does not allow it, or lacks what it takes.
    """
    if platform.machine() not in _SYS_CAPSET:
        raise JailError(f"no system call numbers known for {platform.machine()}")
    release = tuple(int(part) for part in platform.release().split(".")[:2])
    if release < (5, 14):
        raise JailError(f"Linux 5.14 or newer is needed, this is {platform.release()}")
    if len(os.listdir("/proc/self/task")) > 1:
        raise JailError("the zygote already has threads")
    _new_user_namespace()
    _unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, "namespaces")
    die_with_parent()
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    die_with_parent()
    _build_root(view)


def _new_user_namespace() -> None:
    """Become root of a new user namespace; real root also gets an unprivileged user to hand its children to."""
    uid, gid = os.geteuid(), os.getegid()
    extra = f"{JAIL_UID} {_OUTER_UID} 1\n" if uid == 0 else ""
    ready = os.pipe()
    helper = os.fork()
    if helper == 0:
        # Only a process outside may write a map with two lines, so this one does it on the parent's behalf.
        status = 1
        with contextlib.suppress(OSError):
            os.read(ready[0], 1)
            folder = Path(f"/proc/{os.getppid()}")
            if uid:
                (folder / "setgroups").write_text("deny")
            (folder / "uid_map").write_text(f"0 {uid} 1\n{extra}")
            (folder / "gid_map").write_text(f"0 {gid} 1\n{extra}")
            status = 0
        os._exit(status)
    try:
        _unshare(CLONE_NEWUSER, "user")
    finally:
        os.write(ready[1], b"x")
        _, status = os.waitpid(helper, 0)
        for end in ready:
            os.close(end)
    if status:
        raise JailError("the user namespace got no user map")
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _build_root(view: View) -> None:
    _mount("", "/", "", _MS_REC | _MS_PRIVATE)
    # /tmp becomes the new root and the old root hangs below it, where everything can still be reached to pick from.
    _mount("tmpfs", "/tmp", "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=16m")  # noqa: S108 - a mount point
    os.mkdir("/tmp/old")  # noqa: S108
    _syscall(_SYS_PIVOT_ROOT[platform.machine()], "pivot_root", b"/tmp", b"/tmp/old")
    os.chdir("/")
    for folder in ("/usr", *map(str, view.libraries), "/sys/devices/system/cpu", "/etc/alternatives", "/etc/fonts"):
        _show(folder)
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        if os.path.islink(f"/old/{name}"):
            os.symlink(os.readlink(f"/old/{name}"), f"/{name}")
        else:
            _show(f"/{name}")
    for file in ("/etc/ld.so.cache", "/etc/localtime"):
        _show(os.path.realpath(f"/old{file}").removeprefix("/old"), at=file)
    for device in ("null", "zero", "full", "random", "urandom"):
        _show(f"/dev/{device}")
    for name, target in {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}.items():
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")
    os.symlink(view.scratch, "/dev/shm")  # noqa: S108
    Path("/etc/passwd").write_text(f"learner:x:{JAIL_UID}:{JAIL_UID}::{view.scratch}:/bin/sh\n")
    Path("/etc/group").write_text(f"learner:x:{JAIL_UID}:\n")
    for path in view.course:
        _show(str(path))
    view.check.parent.mkdir(parents=True, exist_ok=True)
    view.check.write_text(CHECK_STUB)
    os.makedirs(view.scratch, exist_ok=True)
    Path(view.marker).touch()
    if not os.path.exists("/tmp"):  # noqa: S108 - it exists when the checkout itself lies in there
        os.symlink(view.scratch, "/tmp")  # noqa: S108
    os.makedirs("/proc", exist_ok=True)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)
    _checked(_libc.umount2(b"/old", _MNT_DETACH), "leave the old root")
    os.rmdir("/old")
    _read_only("/", recursive=True)
    # For the zygote's own imports; each worker gets a scratch space of its own on top.
    _mount("tmpfs", view.scratch, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=16m")
    os.chdir(view.scratch)


def _show(path: str, *, at: str = "") -> None:
    """Make a path of the old root visible at the same place in the new one; a path that does not exist is left out."""
    source, target = f"/old{path}", at or path
    if not os.path.exists(source):
        return
    if stat.S_ISDIR(os.stat(source).st_mode):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        Path(target).touch()
    _mount(source, target, "", _MS_BIND | _MS_REC)


# --- entering it, once per submission ---------------------------------------------------------------------------------


def _private_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    raise JailError("/proc/self/status does not say VmData")


def fork_into_new_pid_namespace(own_namespace: int) -> int:
    """Fork a child that is process 1 of a new process namespace: when it ends, the kernel ends all that it started.

    Args:
        own_namespace: an open descriptor of `/proc/self/ns/pid`. The calling process stays where it is.

    Returns:
        As `os.fork`.
    """
    # A process may ask for a new process namespace for its children only while they are headed for its own.
    _checked(_libc.setns(own_namespace, CLONE_NEWPID), "setns")
    _unshare(CLONE_NEWPID, "pid")
    return os.fork()


def enter(view: View, limits: Limits) -> tuple[int, list[str]]:
    """Close the jail behind this process, for good. Call it as process 1 of its namespace, in the room of `build`.

    Returns:
        The reading end of the marker pipe, to be handed out before any learner's code runs, and the names of the
        layers in force.

    Raises:
        JailError: a layer that `full` promises could not be put in place.
    """
    _unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS, "mount net ipc uts")
    marker = _private_mounts(view, limits)
    if _knows_uid(JAIL_UID):
        os.setgroups([])
        os.setresgid(JAIL_UID, JAIL_UID, JAIL_UID)
        os.setresuid(JAIL_UID, JAIL_UID, JAIL_UID)
        # Changing the user hides /proc/self from ourselves; the maps below are written there.
        _prctl(_PR_SET_DUMPABLE, 1)
    uid, gid = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER, "inner user")
    for file, text in (("setgroups", "deny"), ("uid_map", f"{JAIL_UID} {uid} 1"), ("gid_map", f"{JAIL_UID} {gid} 1")):
        Path("/proc/self", file).write_text(text)
    # When the machine runs out of memory, the kernel should end a submission, not the grader.
    Path("/proc/self/oom_score_adj").write_text("1000")
    # A user namespace hands out all capabilities to whoever makes one, so nobody makes another one in here.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    # Private writable memory. Not RLIMIT_AS: torch maps far more than it uses.
    limit_this_process(limits, NPROC=limits.processes, DATA=_private_memory() + limits.memory)
    _drop_capabilities()
    layers = ["user", "pid", "mount", "net", "ipc", "uts", "no-new-privileges", "no-capabilities", "rlimits"]
    layers += _landlock(view) + _seccomp()
    _prctl(_PR_SET_DUMPABLE, 1)
    os.chdir(view.scratch)
    return marker, layers


def _knows_uid(uid: int) -> bool:
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, length = map(int, line.split())
        if first <= uid < first + length:
            return True
    return False


def _private_mounts(view: View, limits: Limits) -> int:
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV)
    owner = JAIL_UID if _knows_uid(JAIL_UID) else 0
    options = f"mode=700,uid={owner},gid={owner},size={limits.disk},nr_inodes=4096"
    _mount("tmpfs", view.scratch, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    # A pipe on a read-only mount: payloads can write to it, and nobody can remove it, read it or change its mode.
    pipe = f"{view.scratch}/pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.chmod(pipe, 0o222)  # noqa: S103 - write only, for all
    _mount(pipe, view.marker, "", _MS_BIND)
    _read_only(view.marker, recursive=False)
    os.unlink(pipe)
    return reader


def _drop_capabilities() -> None:
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        if _prctl(_PR_CAPBSET_DROP, capability) == -1 and ctypes.get_errno() != errno.EINVAL:
            raise JailError(f"capability {capability} could not be dropped")
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    _syscall(_SYS_CAPSET[platform.machine()], "capset", header, nothing)
    _checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1), "no_new_privs")


# --- Landlock and seccomp: two more layers, where the kernel has them -------------------------------------------------

# Everything that changes the file system, by the Landlock version that knows it; reading is what the mounts decide.
_FS_WRITES = {1: (1 << 1) | sum(1 << bit for bit in range(4, 13)), 2: 1 << 13, 3: 1 << 14}
_FS_WRITE_FILE, _FS_TRUNCATE = 1 << 1, 1 << 14
_NET_BIND_CONNECT = 0b11
_SCOPE_SOCKETS_SIGNALS = 0b11


def _landlock(view: View) -> list[str]:
    version = _libc.syscall(ctypes.c_long(_SYS_LANDLOCK_CREATE), None, ctypes.c_long(0), ctypes.c_long(1))
    if version < 1:
        return []
    writes = sum(bits for since, bits in _FS_WRITES.items() if version >= since)
    parts = [writes]
    if version >= 4:
        parts.append(_NET_BIND_CONNECT)
    if version >= 6:
        parts.append(_SCOPE_SOCKETS_SIGNALS)
    attributes = struct.pack(f"{len(parts)}Q", *parts)
    rules = _syscall(_SYS_LANDLOCK_CREATE, "landlock", attributes, len(attributes), 0)
    single = writes & (_FS_WRITE_FILE | _FS_TRUNCATE)
    for path, rights in ((view.scratch, writes), (view.marker, single), ("/dev/null", single)):
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        _syscall(_SYS_LANDLOCK_ADD, f"landlock {path}", rules, 1, struct.pack("<Qi", rights, handle), 0)
        os.close(handle)
    _syscall(_SYS_LANDLOCK_RESTRICT, "landlock", rules, 0)
    os.close(rules)
    return [f"landlock-{version}"]


# System calls that no learner's code needs and that reach further than the limits above: memory that no limit counts,
# the kernel's key store, other processes' memory, mounts and namespaces.
_FORBIDDEN = {
    "x86_64": {
        "memfd_create": 319, "memfd_secret": 447, "shmget": 29, "msgget": 68, "semget": 64,
        "add_key": 248, "request_key": 249, "keyctl": 250, "ptrace": 101, "process_vm_readv": 310,
        "process_vm_writev": 311, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "unshare": 272, "setns": 308, "mount": 165,
        "umount2": 166, "pivot_root": 155, "chroot": 161, "open_by_handle_at": 304, "fsopen": 430, "open_tree": 428,
        "move_mount": 429, "mount_setattr": 442, "clone3": 435,
    },
    "aarch64": {
        "memfd_create": 279, "memfd_secret": 447, "shmget": 194, "msgget": 186, "semget": 190,
        "add_key": 217, "request_key": 218, "keyctl": 219, "ptrace": 117, "process_vm_readv": 270,
        "process_vm_writev": 271, "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427,
        "bpf": 280, "userfaultfd": 282, "perf_event_open": 241, "unshare": 97, "setns": 268, "mount": 40,
        "umount2": 39, "pivot_root": 41, "chroot": 51, "open_by_handle_at": 265, "fsopen": 430, "open_tree": 428,
        "move_mount": 429, "mount_setattr": 442, "clone3": 435,
    },
}  # fmt: skip
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SYS_SOCKET = {"x86_64": 41, "aarch64": 198}
_SOCKET_FAMILIES = (1, 2, 10)  # unix, inet, inet6: the ones that the network namespace keeps to itself
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def _seccomp() -> list[str]:
    machine = platform.machine()
    # clone3 takes its flags in memory, where a filter cannot look; "no such call" makes the C library use clone.
    numbers = [n for name, n in _FORBIDDEN[machine].items() if name != "clone3"]
    refuse, missing = (_RETURN, 0, 0, _ERRNO | errno.EPERM), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _AUDIT_ARCH[machine]), refuse, (_LOAD, 0, 0, 0)]
    program += [(_AT_LEAST, 0, 1, 0x40000000), refuse]
    program += [(_EQUAL, 0, 1, _FORBIDDEN[machine]["clone3"]), missing]
    for number in numbers:
        program += [(_EQUAL, 0, 1, number), refuse]
    program += [(_EQUAL, 0, 2 + len(_SOCKET_FAMILIES), _SYS_SOCKET[machine]), (_LOAD, 0, 0, 16)]
    program += [(_EQUAL, len(_SOCKET_FAMILIES) - i, 0, family) for i, family in enumerate(_SOCKET_FAMILIES)]
    program += [refuse, (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    holder = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    buffer = ctypes.create_string_buffer(holder)
    if _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(buffer)) == -1:
        return []
    return ["seccomp"]
