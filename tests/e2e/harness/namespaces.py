"""Network namespaces that a test makes for itself: clients, a router with Headgate, servers. Nothing of them is outside."""

import contextlib
import ctypes
import os
import threading
from pathlib import Path

import pytest

from harness.tools import run, tool

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *arguments):
    if function(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Namespace:
    """A network namespace, which lasts as long as this object, a socket or a process in it."""

    def __init__(self):
        made = threading.Thread(target=self._make)
        self.descriptor, self._error = -1, None
        made.start()
        made.join()
        if self._error:
            raise self._error
        with self.entered():
            # Else the addresses of links that are new find no neighbour for two seconds (RFC 4862, section 5.4).
            for links in ("all", "default"):
                Path(f"/proc/sys/net/ipv6/conf/{links}/accept_dad").write_text("0")
            self.ip("link set lo up")

    def _make(self):
        """In a thread of its own, which the new namespace ends with."""
        try:
            _call(_libc.unshare, _CLONE_NEWNET)
            self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self._error = error

    @contextlib.contextmanager
    def entered(self):
        """The calling thread makes its sockets and starts its children in the namespace meanwhile."""
        before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call(_libc.setns, self.descriptor, _CLONE_NEWNET)
            try:
                yield self
            finally:
                _call(_libc.setns, before, _CLONE_NEWNET)
        finally:
            os.close(before)

    def ip(self, words):
        """`ip` with these words, in the namespace of the calling thread."""
        told = run(tool("ip"), *words.split())
        assert told.returncode == 0, f"ip {words}: {told.stderr}"

    def give(self, link):
        """Moves a link of the calling thread's namespace into this one."""
        self.ip(f"link set {link} netns /proc/{os.getpid()}/fd/{self.descriptor}")

    def close(self):
        os.close(self.descriptor)


CLIENT, SERVER, OTHER_SERVER = "10.77.1.2", "10.77.2.2", "10.77.2.3"
CLIENT6, SERVER6 = "fd77:1::2", "fd77:2::2"
ROUTER = "10.77.1.1"


class Network:
    """Clients, a router and servers, in a namespace each. The client's packets to a server pass the router."""

    def __init__(self):
        self.client, self.router, self.server = Namespace(), Namespace(), Namespace()
        with self.router.entered():
            self._link("clients", self.client, 1)
            self._link("servers", self.server, 2)
        with self.server.entered():
            self.server.ip(f"addr add {OTHER_SERVER}/24 dev uplink")

    def _link(self, name, end, number):
        ip = self.router.ip
        ip(f"link add {name} type veth peer name uplink")
        end.give("uplink")
        for address in (f"10.77.{number}.1/24", f"fd77:{number}::1/64 nodad"):
            ip(f"addr add {address} dev {name}")
        ip(f"link set {name} up")
        with end.entered():
            for address in (f"10.77.{number}.2/24", f"fd77:{number}::2/64 nodad"):
                ip(f"addr add {address} dev uplink")
            ip("link set uplink up")
            ip(f"route add default via 10.77.{number}.1")
            ip(f"-6 route add default via fd77:{number}::1")

    def deliver_to_router(self, *rules):
        """Packets that `rules` choose ("iif clients", "fwmark 1") are the router's own, whatever their address is."""
        with self.router.entered():
            for family in ("-4", "-6"):
                self.router.ip(f"{family} route add local default dev lo table 100")
                for rule in rules:
                    self.router.ip(f"{family} rule add {rule} lookup 100")

    def nft(self, ruleset, at=None):
        """Loads a ruleset in a namespace, the router where none is given."""
        with (at or self.router).entered():
            told = run(tool("nft"), "-f", "-", stdin=ruleset)
        if "No such file or directory" in told.stderr or "not supported" in told.stderr:
            pytest.skip(f"the kernel has no tproxy for nft: {told.stderr.strip()}")
        assert told.returncode == 0, told.stderr

    def close(self):
        for namespace in (self.client, self.router, self.server):
            namespace.close()


def make_network():
    """A Network, or a skipped test where this process or this kernel cannot make one."""
    if os.geteuid() != 0:
        pytest.skip("only root makes network namespaces")
    try:
        return Network()
    except OSError as error:
        pytest.skip(f"no network namespace can be made here: {error}")
