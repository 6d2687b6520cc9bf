"""A machine of the test's own: its files are those of this one until they are written, and systemd is its first process.

Its mounts, processes and network are in namespaces, its services in a control group; nothing of it is left at the end.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness.namespaces import Namespace
from harness.tools import run, tool
from harness.waiting import DEADLINE_SECONDS, wait_until

_SYSTEMD = "/lib/systemd/systemd"
_TARGET = "harness.target"

# Runs in the new namespaces, with a folder for the mounts as $1. Of /dev the machine gets what programs ask for.
_BOOT = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
root=$1/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
for folder in run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$root/$folder"; done
chmod 755 "$root/run"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
rm -f "$root/usr/sbin/policy-rc.d"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
printf '[Unit]\nDescription=What the harness needs\nRequires=systemd-journald.service\nAfter=systemd-journald.service\n' \
  >"$root/etc/systemd/system/$2"
rm -f "$root/var/lib/man-db/auto-update"
cd "$root"
pivot_root . mnt
exec chroot . sh -c 'umount -l /mnt; exec env -i container=other PATH="$PATH" "$@"' sh \
  "$3" --system --unit="$2" --show-status=no --log-level=warning
"""


def _control_groups():
    """The folder of this process's control group, version 2."""
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        at = [line.split()[4] for line in mounts if " - cgroup2 " in line]
    if not at:
        pytest.skip("no control groups of version 2 are mounted")
    own = Path("/proc/self/cgroup").read_text(encoding="ascii").split("0::", 1)[1].splitlines()[0]
    folder = Path(at[0] + own)
    return folder if folder.is_dir() else Path(at[0])


class Machine:
    """A machine that has booted. `root` is its file system as this one sees it, `network` its network namespace."""

    def __init__(self):
        if os.geteuid() != 0 or not os.path.exists(_SYSTEMD):
            pytest.skip("only root can boot a machine, and only where systemd is installed")
        self.network = Namespace()
        self._folder = tempfile.mkdtemp(prefix="machine-")
        self._group = _control_groups() / f"headgate-test-{os.getpid()}-{time.monotonic_ns()}"
        self._group.mkdir()
        enter = 'echo $$ >"$0/cgroup.procs"; exec "$@"'
        spaces = ("--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child")
        boot = (tool("unshare"), *spaces, "sh", "-c", _BOOT, "boot", self._folder, _TARGET, _SYSTEMD)
        with self.network.entered():
            self._child = subprocess.Popen(
                ["sh", "-c", enter, str(self._group), *boot], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        try:
            self._first = wait_until(self._first_process, "systemd is the first process of the machine")
            self.root = Path(f"/proc/{self._first}/root")
            wait_until(lambda: self.run("systemctl", "is-active", _TARGET).returncode == 0, "the machine has booted")
        except BaseException:
            self.close()
            raise

    def _first_process(self):
        if self._child.poll() is not None:
            pytest.fail(f"the machine ended: {self._child.stdout.read().decode()}")
        children = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children").read_text(encoding="ascii").split()
        for child in children:
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{child}/exe").endswith("/systemd"):
                    return int(child)
        return None

    def run(self, *words, seconds=120):
        """Runs a program on the machine, as root, to its end."""
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        enter = (tool("nsenter"), f"--target={self._first}", "--all", "--root", "--wd=/")
        return run(*enter, *words, env=environment, seconds=seconds)

    def check(self, *words):
        """Runs a program that must end well; returns what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def close(self):
        """Ends every process of the machine."""
        (self._group / "cgroup.kill").write_text("1")
        self._child.wait(DEADLINE_SECONDS)
        self._child.stdout.close()
        for group in sorted((path for path in self._group.rglob("*") if path.is_dir()), reverse=True):
            wait_until(lambda: _removed(group), f"{group} is empty")  # noqa: B023
        wait_until(lambda: _removed(self._group), f"{self._group} is empty")
        self.network.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _removed(group):
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()
