"""Two machines of a test's own, so that a configuration runs exactly as it is written: with its ports, names and paths.

`here` is the machine of Headgate, at HERE. `elsewhere` is all others: at ELSEWHERE, and at every address of 192.0.2.0/24. Each
is a network name space; `here` has its own /run and its own authorities too.
"""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import threading
from pathlib import Path

from harness.tools import run, tool
from harness.waiting import DEADLINE_SECONDS

HERE, ELSEWHERE = "10.20.0.1", "10.20.0.5"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class Machine:
    """A child that holds the name spaces of one machine. `setup` is a shell script that runs in them first."""

    def __init__(self, setup):
        self.holder = subprocess.Popen(
            [tool("unshare"), "--net", "--mount", tool("bash"), "-ec", f"{setup}\necho ready; exec sleep infinity"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = self.holder.stdout.readline()
        self.entrance = [tool("nsenter"), f"--target={self.holder.pid}", "--net", "--mount"]

    def run(self, *argv, **options):
        """Runs a program on this machine to its end."""
        return run(*self.entrance, *argv, **options)

    def call(self, function, *arguments, **options):
        """Calls `function` with the network of this machine: the sockets that it makes belong there for good."""
        outcome = {}

        def enter_and_call():
            try:
                with open(f"/proc/{self.holder.pid}/ns/net") as network:
                    if _libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                outcome["value"] = function(*arguments, **options)
            except BaseException as failure:  # noqa: BLE001  raised where the call was made
                outcome["failure"] = failure

        thread = threading.Thread(target=enter_and_call)
        thread.start()
        thread.join()
        if "failure" in outcome:
            raise outcome["failure"]
        return outcome["value"]

    def connect(self, host, port, source=None):
        """A connection from this machine."""
        where = (source, 0) if source else None
        return self.call(socket.create_connection, (host, port), timeout=DEADLINE_SECONDS, source_address=where)

    def close(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Bridge:
    """Listens at an address of a machine, and carries connections to a server of the test's own machine: "host:port" or
    "unix:PATH". `accepted` counts them."""

    def __init__(self, machine, host, port, server):
        self.accepted = 0
        self._server = server
        self._listener = machine.call(socket.create_server, (host, port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client):
        with client, contextlib.suppress(OSError), _connected(self._server) as server:
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def _connected(server):
    if not server.startswith("unix:"):
        host, port = server.rsplit(":", 1)
        return socket.create_connection((host, int(port)))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(server.removeprefix("unix:"))
    return connection


def _copy(source, target):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


class TwoMachines:
    """`names` maps host names to addresses, for both. `directory` is readable for all; its folder `run` is /run `here`, and
    the certificates in `authorities` are those that `here` trusts."""

    def __init__(self, directory, names, authorities=()):
        self.run_folder = directory / "run"
        self.run_folder.mkdir()
        trusted = directory / "authorities"
        trusted.mkdir()
        for authority in authorities:
            hashed = run(tool("openssl"), "x509", "-in", authority, "-noout", "-hash").stdout.strip()
            shutil.copy(authority, trusted / f"{hashed}.0")
        hosts = directory / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{where} {name}\n" for name, where in names.items()))
        setup = f"mount --bind {hosts} /etc/hosts\n{tool('ip')} link set lo up"
        self.here = Machine(
            f"{setup}\nmount --bind {trusted} /etc/ssl/certs\nmount --bind {self.run_folder} /run",
        )
        self.elsewhere = Machine(setup)
        self._bridges = []
        self._join(tool("ip"))

    def _join(self, ip):
        for machine, script in (
            (self.here, f"{ip} link add near type veth peer name far netns {self.elsewhere.holder.pid}"),
            (self.here, f"{ip} address add {HERE}/16 dev near && {ip} link set near up"),
            (self.elsewhere, f"{ip} address add {ELSEWHERE}/16 dev far && {ip} link set far up"),
            (self.elsewhere, f"{ip} route add local 192.0.2.0/24 dev lo"),
            (self.here, f"{ip} route add 192.0.2.0/24 via {ELSEWHERE}"),
        ):
            told = machine.run("bash", "-c", script)
            assert told.returncode == 0, (script, told, machine.said)

    def bridge(self, host, port, server, machine=None):
        """Brings a server to an address `elsewhere`, or on another machine."""
        self._bridges.append(Bridge(machine or self.elsewhere, host, port, server))
        return self._bridges[-1]

    def link(self, path, server):
        """Brings a server's unix socket to a path below /run `here`."""
        inside = self.run_folder / Path(path).relative_to("/run")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.symlink_to(server.removeprefix("unix:"))

    def close(self):
        for bridge in self._bridges:
            bridge.close()
        self.here.close()
        self.elsewhere.close()


def can_be_made():
    """Whether this user and this kernel have name spaces for two machines."""
    if os.geteuid() != 0:
        return False
    probe = "ip link add near type veth peer name far && mount -t tmpfs none /run"
    return run(tool("unshare"), "--net", "--mount", tool("bash"), "-c", probe).returncode == 0

