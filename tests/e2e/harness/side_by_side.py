"""Another program with its configuration, and Headgate with the translation by `headgate import`, for the same clients."""

import contextlib
import os
import re
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from harness.authority import Authority
from harness.servers import Server, short_directory
from harness.tls_client import TLS12, TLS13, TlsClient
from harness.tools import headgate_binary, run, tool
from harness.waiting import DEADLINE_SECONDS

SOURCES = ("127.0.0.1", "::1")
NAMES = ("a.test", "b.test", "unknown.test", None)


class Client(NamedTuple):
    source: str
    version: int
    name: str | None
    certificate: str  # of World.clients


class World:
    """The certificates and backends that all cases name."""

    def __init__(self, directory):
        self.authority = authority = Authority(directory / "ca")
        others = Authority(directory / "other-ca", "Other test CA")
        self.words = {"ca": authority.file, "other_ca": others.file}
        self.directory = directory / "certificates"
        self.directory.mkdir()
        for name in ("a", "b", "c"):
            pair = authority.issue(f"{name}.test")
            both = self.directory / f"{name}.pem"
            both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
            self.words[name] = both
            self.words[f"{name}_crt"], self.words[f"{name}_key"] = pair.certificate, pair.key
        revoked = authority.issue("good.test", client=True)
        self.words["crl"] = authority.revocation_list(revoked)
        self.words["certificates"] = self.directory
        self.server_tls, self.server_tls_b = self._wrap("a"), self._wrap("b")
        self.clients = {
            "none": None,
            "good": authority.issue("good.test", client=True),
            "second": authority.issue("second.test", client=True),
            "foreign": others.issue("good.test", client=True),
            "revoked": revoked,
        }

    def _wrap(self, name):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.words[name])
        return lambda connection: context.wrap_socket(connection, server_side=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


def free_port():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as probe:
        return probe.getsockname()[1]


def command(program, file):
    if program == "haproxy":
        return [tool("haproxy"), "-db", "-f", file]
    if program == "nginx":
        return [tool("nginx"), "-p", file.parent, "-c", file, "-e", "stderr"]
    return [tool("hitch"), f"--config={file}"] if program == "hitch" else [tool("stunnel4"), file]


def nginx_head():
    """What an nginx.conf of a test begins with. The stream module is built in, or in the folder of Debian's modules."""
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    load = f"load_module {module};\n" if module.exists() else ""
    user = "user root;\n" if os.geteuid() == 0 else ""
    return f"{load}{user}daemon off;\nworker_processes 1;\npid nginx.pid;\nerror_log stderr warn;\nevents {{ worker_connections 500; }}"


class OriginalServer(Server):
    """Serves when a client can connect: hitch's listening sockets belong to its worker."""

    def __init__(self, argv, directory, port):
        self._port = port
        super().__init__(argv, directory)

    def _serves(self):
        assert self.child.poll() is None, self.log.read_text(errors="replace")
        for family, source in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as probe:
                if probe.connect_ex((source, self._port)) == 0:
                    return True
        return False


class Original:
    """The program itself with its configuration. A port that another process took meanwhile means another try."""

    def __init__(self, program, text, words):
        for attempt in range(5):
            self.port = free_port()
            self.directory = short_directory()
            self.file = self.directory / f"{program}.conf"
            self.file.write_text(filled(text, {**words, "port": self.port, "directory": self.directory}))
            try:
                self._server = OriginalServer(command(program, self.file), self.directory, self.port)
                return
            except AssertionError as failure:
                if "in use" not in str(failure) or attempt == 4:
                    raise

    def address(self, source):
        return source, self.port

    def close(self):
        self._server.close()


def filled(text, words):
    return re.sub(r"@(\w+)@", lambda found: str(words[found[1]]), text)


class Translation:
    """Headgate with the translation. Its ports are its own, so each bind is found by its place in the list."""

    def __init__(self, start, program, file):
        self.told = run(headgate_binary(), "import", program, file)
        assert self.told.stdout, self.told.stderr
        config = yaml.safe_load(self.told.stdout)
        config.update(user="", group="", workers=1, admin={"bind": "127.0.0.1:0"}, drain={"deadline": "1s"})
        config["log"] = {"level": "info", "format": "json", "access": "all"}
        self.binds = []
        for listener in config["listeners"]:
            for index, bind in enumerate(listener["bind"]):
                host = bind["address"].rsplit(":", 1)[0]
                bind["address"] = f"{host}:0"
                self.binds.append((host, listener["name"], index))
        self.headgate = start(config)

    @property
    def lost_a_rule(self):
        return self.told.returncode == 1

    def address(self, source):
        """Where a client on `source` finds it, or None."""
        hosts = [f"[{source}]", "[::]", ""] if ":" in source else [source, "0.0.0.0", "[::]", ""]
        for host in hosts:
            for bound, name, index in self.binds:
                if bound == host:
                    return source, self.headgate.port(name, index)
        return None


def outcome(client, address, world):
    """What the client gets: (the name in the certificate, the backend's word), or "refused"."""
    if address is None:
        return "refused"
    try:
        connected = socket.create_connection(address, timeout=DEADLINE_SECONDS)
        certificate = world.clients[client.certificate]
        with TlsClient(0, sni=client.name, version=client.version, certificate=certificate, connected=connected) as tls:
            tls.handshake()
            word = tls.recv().decode()
            subject = tls.certificate().subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            return (subject, word) if word else "refused"
    except (OSError, SSL.Error):
        return "refused"


def plain_outcome(client, address, world):
    """The backend's word to a client that speaks plaintext, or "refused"."""
    try:
        with socket.create_connection(address, timeout=DEADLINE_SECONDS) as connected:
            return connected.recv(100).decode() or "refused"
    except OSError:
        return "refused"


class Banner:
    """A backend that says its name to every client and ends."""

    def __init__(self, word):
        self._word = word.encode()

    def __call__(self, connection):
        connection.sendall(self._word)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass


@pytest.fixture
def compare(world, start, backend):
    """compare(program, text, lost=...) runs both and compares them over all clients."""
    with contextlib.ExitStack() as running:

        def compare_one(program, text, lost=False, certificates=("none",), names=NAMES, ask=outcome, serves=True):
            words = {**world.words, "one": backend(Banner("one")).address, "two": backend(Banner("two")).address}
            words["tls"] = backend(Banner("tls"), wrap=world.server_tls).address
            words["tls_b"] = backend(Banner("tls_b"), wrap=world.server_tls_b).address
            words["one_port"], words["two_port"] = (words[word].rsplit(":", 1)[1] for word in ("one", "two"))
            words["user"] = 'user = "nobody"' if os.geteuid() == 0 else ""
            words["nginx_head"] = nginx_head()
            original = Original(program, text, words)
            running.callback(original.close)
            ours = Translation(start, program, original.file)
            assert ours.lost_a_rule == lost, ours.told.stderr
            differences, seen = [], 0
            for client in all_clients(names, certificates):
                theirs = ask(client, original.address(client.source), world)
                own = ask(client, ours.address(client.source), world)
                seen += theirs != "refused"
                if own != theirs and not (lost and own == "refused"):
                    differences.append(f"{client}: {program} {theirs}, Headgate {own}")
            assert not differences, "\n".join(differences) + "\n" + ours.told.stdout
            assert bool(seen) == serves, f"the original serves {seen} clients"

        yield compare_one


def all_clients(names, certificates):
    return [
        Client(source, version, name, certificate)
        for source in SOURCES
        for version in (TLS12, TLS13)
        for name in names
        for certificate in certificates
    ]
