"""Each shipped configuration runs as it is written, under the rights that the shipped unit gives, with real clients and servers."""

import contextlib
import http.client
import http.server
import imaplib
import json
import os
import pwd
import re
import shutil
import smtplib
import socket
import ssl
import struct
import threading

import pytest
import yaml

from harness.authority import Authority
from harness.backends import echo
from harness.example_files import copy_example, put_pair
from harness.headgate import Headgate
from harness.servers import (
    Server, address_of_its_own, dovecot, mariadb, nghttpd, nginx, postfix, postgres, redis, short_directory, slapd,
)  # fmt: skip
from harness.tls_client import python_context, read_to_end
from harness.tools import TOP, headgate_binary, run, tool
from harness.two_machines import HERE, TwoMachines, can_be_made
from harness.waiting import DEADLINE_SECONDS, wait_until

pytestmark = pytest.mark.once

EXAMPLES = {path.stem: path for path in [*TOP.glob("config/*.yaml"), *TOP.glob("config/examples/*.yaml")]}
UNIT = (TOP / "deploy/systemd/headgate.service").read_text(encoding="utf-8")
NAMES = {
    **dict.fromkeys(
        ["app.test", "web-tls.test", "api-tls.test", "customers.test", "legacy.example.com", "a.example.com",
         "www.a.example.com", "other.example.com"], HERE,
    ),
    "mail.example.com": "192.0.2.30",
    "db.internal": "192.0.2.31",
    "queue-1.example.com": "192.0.2.32",
    "queue-2.example.com": "192.0.2.33",
    "app-1.internal": "192.0.2.34",
    "app-2.internal": "192.0.2.35",
    "ledger.internal": "192.0.2.36",
}  # fmt: skip
STRANGER = "192.0.2.99"


class Place:
    """A machine for Headgate with one example, and another one for its clients and servers."""

    def __init__(self, name, authority, program, monkeypatch, exits):
        self.authority = authority
        self.program, self.monkeypatch = program, monkeypatch
        self.exits = exits
        self.directory = short_directory()
        exits.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.account = pwd.getpwnam("nobody")
        self.machines = TwoMachines(self.directory, NAMES, [authority.file])
        exits.callback(self.machines.close)
        self.here, self.elsewhere = self.machines.here, self.machines.elsewhere
        self.file = self.provide(name)
        self.config = yaml.safe_load(self.file.read_text())
        (self.machines.run_folder / "headgate").mkdir()
        self.give_away(self.machines.run_folder / "headgate")

    def provide(self, name):
        """The example's file, beside the files that it names."""
        (self.directory / name).mkdir()
        file = copy_example(EXAMPLES[name], self.directory / name, self.authority)
        self.give_away(file.parent)
        return file

    def give_away(self, folder):
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, self.account.pw_uid, self.account.pw_gid)

    def start(self):
        headgate = self.start_on(self.here, self.file)
        wait_until(lambda: headgate.child.poll() is not None or self.is_ready(), lambda: headgate.output)
        assert headgate.child.poll() is None, headgate.output
        return headgate

    def start_on(self, machine, file):
        """Checks an example and starts it, as the unit does: as a user of its own with one capability."""
        assert "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n" in UNIT and "\nUMask=0077\n" in UNIT
        assert "\nExecStartPre=/usr/bin/headgate check " in UNIT and "\nRuntimeDirectory=headgate\n" in UNIT
        rights = [
            tool("setpriv"), f"--reuid={self.account.pw_uid}", f"--regid={self.account.pw_gid}", "--clear-groups",
            *(f"--{kind}=-all,+net_bind_service" for kind in ("inh-caps", "ambient-caps", "bounding-set")), "--no-new-privs",
        ]  # fmt: skip
        script = file.with_suffix(".sh")
        script.write_text(f'#!/bin/bash\numask 0077\nexec {" ".join([*machine.entrance, *rights])} {self.program} "$@"\n')
        script.chmod(0o755)
        told = run(script, "check", "--config", file)
        assert told.returncode == 0, told
        self.monkeypatch.setenv("HEADGATE_BINARY", str(script))
        headgate = Headgate(file.parent, arguments=["run", "--config", file])
        self.exits.callback(lambda: headgate.stop() == 0 or pytest.fail(headgate.output))
        return headgate

    def admin(self, path):
        """(status, text) of an answer of the admin endpoint."""
        bind = self.config.get("admin", {}).get("bind", "127.0.0.1:9464")
        connection = http.client.HTTPConnection("localhost", timeout=DEADLINE_SECONDS)
        if bind.startswith("unix:"):
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(self.machines.run_folder / bind.removeprefix("unix:/run/")))
        else:
            host, port = bind.rsplit(":", 1)
            connection.sock = self.here.connect(host, int(port))
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def is_ready(self):
        with contextlib.suppress(OSError):
            return self.admin("/readyz")[0] == 200
        return False

    def server(self, one):
        """A server of the harness until the test ends."""
        return self.exits.enter_context(one)

    def website(self, text, host="127.0.0.1", port=8080, machine=None):
        """An HTTP server that says `text`."""

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        server = (machine or self.here).call(http.server.ThreadingHTTPServer, (host, port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.exits.callback(server.server_close)
        self.exits.callback(server.shutdown)

    def tls_website(self, text, certificate):
        """An HTTP server with TLS on a unix socket; its address."""
        tls = f"ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};"
        return self.server(nginx("ssl", f"{tls} location / {{ return 200 '{text}'; }}")).address

    def curl(self, url, *options, authority=None):
        """What curl gets, as (exit code, text), from the other machine."""
        told = self.elsewhere.run(
            tool("curl"), "--silent", "--show-error", "--max-time", DEADLINE_SECONDS,
            "--cacert", (authority or self.authority).file, *options, url,
        )  # fmt: skip
        return told.returncode, told.stdout

    def gets(self, url, *options, **more):
        code, text = self.curl(url, *options, **more)
        assert code == 0, (url, code, text)
        return text


def headgate(place, start):
    place.website("served by the first configuration")
    start()
    assert place.gets("https://app.test:8443/") == "served by the first configuration"


def cert_manager(place, start):
    place.website("mounted")
    start()
    assert [place.gets(f"https://{name}-tls.test:8443/") for name in ("web", "api")] == ["mounted"] * 2


# Every call comes back as it was sent; "slowly" takes its time in parts.
GRPC_SERVER = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc

class Calls(grpc.GenericRpcHandler):
    def service(self, details):
        if details.method == "/app.Echo/Say":
            return grpc.unary_unary_rpc_method_handler(lambda asked, _: asked)
        return grpc.stream_stream_rpc_method_handler(lambda asked, _: asked)

server = grpc.server(ThreadPoolExecutor(4), handlers=[Calls()])
server.add_insecure_port(sys.argv[1])
server.start()
server.wait_for_termination()
"""
GRPC_CLIENT = """
import sys
import grpc

with grpc.secure_channel(sys.argv[1], grpc.ssl_channel_credentials(open(sys.argv[2], "rb").read())) as channel:
    print(channel.unary_unary("/app.Echo/Say")(b"one", timeout=20).decode())
    many = channel.stream_stream("/app.Echo/Stream")(iter([b"two"] * 1000), timeout=20)
    print(sum(message == b"two" for message in many))
"""


def grpc(place, start):
    for port in (50051, 50052):
        host = address_of_its_own()
        python = [tool("python3"), "-c", GRPC_SERVER, f"{host}:{port}"]
        server = place.server(Server(python, short_directory(), f"{host}:{port}"))
        place.machines.bridge("127.0.0.1", port, server.address, place.here)
    start()
    told = place.elsewhere.run(tool("python3"), "-c", GRPC_CLIENT, "app.test:8443", place.authority.file)
    assert told.stdout == "one\n1000\n", told
    assert place.curl("https://app.test:8443/", "--http1.1")[0] == 35, "a client without h2 is refused in the handshake"


def http_by_alpn(place, start):
    pages = short_directory()
    place.exits.callback(shutil.rmtree, pages)
    (pages / "index.html").write_text("by HTTP/2")
    second = place.server(nghttpd(pages)).address
    for host in ("192.0.2.34", "192.0.2.35"):
        place.machines.bridge(host, 8082, second)
        place.website("by HTTP/1.1", host, 8081, place.elsewhere)
    start()
    version = ("-w", " %{http_version}")
    assert place.gets("https://app.test/index.html", "--http2", *version) == "by HTTP/2 2"
    assert place.gets("https://app.test/", "--http1.1", *version) == "by HTTP/1.1 1.1"
    assert place.gets("https://app.test/", "--http1.1", "--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256")
    assert place.gets("https://customers.test/", "--http1.1") == "by HTTP/1.1"
    assert place.curl("https://other.example.com/")[0] == 35, "a name that nobody has is refused in the handshake"


def kubernetes_pod_certificate(place, start):
    place.website("a pod's")
    start()
    assert place.gets("https://app.test:8443/") == "a pod's"


def ldap(place, start):
    place.machines.bridge("127.0.0.1", 3389, place.server(slapd()).address, place.here)
    start()
    entry = place.directory / "entry.ldif"
    entry.write_text("dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: test\no: by StartTLS\n")
    who = ["env", f"LDAPTLS_CACERT={place.authority.file}"]
    rights = ["-x", "-D", "cn=admin,dc=test", "-w", "secret"]
    told = place.elsewhere.run(*who, tool("ldapadd"), "-ZZ", "-H", "ldap://app.test", *rights, "-f", entry)
    assert told.returncode == 0, told
    told = place.elsewhere.run(*who, tool("ldapsearch"), "-H", "ldaps://app.test", *rights, "-LLL", "-b", "dc=test", "o")
    assert "o: by StartTLS" in told.stdout, told
    assert place.elsewhere.run(tool("ldapsearch"), "-H", "ldap://app.test", *rights, "-b", "dc=test").returncode != 0


def mail_originator(place, start):
    certificate = place.authority.issue("mail.example.com")
    mail, box = place.server(postfix(certificate)), place.server(dovecot(certificate))
    place.machines.bridge("192.0.2.30", 587, mail.address)
    place.machines.bridge("192.0.2.30", 143, f"{box.host}:1143")
    start()
    with place.here.call(smtplib.SMTP, "127.0.0.1", 2525, timeout=DEADLINE_SECONDS) as client:
        assert client.sendmail("a@mail.test", ["b@mail.test"], b"Subject: s\r\n\r\nover TLS\r\n") == {}
    client = place.here.call(imaplib.IMAP4, "127.0.0.1", 1143, timeout=DEADLINE_SECONDS)
    assert client.login("someone", "secret")[0] == "OK"
    client.logout()


def mail_server(place, start):
    box = place.server(dovecot())
    place.machines.bridge("127.0.0.1", 2525, place.server(postfix()).address, place.here)
    place.machines.bridge("127.0.0.1", 1143, f"{box.host}:1143", place.here)
    start()
    context = ssl.create_default_context(cafile=place.authority.file)
    context.check_hostname = False  # the clients know the machine by its address alone
    mail = (["b@mail.test"], b"Subject: s\r\n\r\nover TLS\r\n")

    def submits(client):
        with client:
            return client.sendmail("a@mail.test", *mail)

    def by_starttls(**options):
        client = place.elsewhere.call(smtplib.SMTP, HERE, 587, timeout=DEADLINE_SECONDS, **options)
        client.starttls(context=context)
        return client

    assert submits(by_starttls()) == {}
    client = place.elsewhere.call(smtplib.SMTP_SSL, HERE, 465, timeout=DEADLINE_SECONDS, context=context)
    assert submits(client) == {}
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        submits(by_starttls(source_address=(STRANGER, 0)))
    client = place.elsewhere.call(imaplib.IMAP4, HERE, 143, timeout=DEADLINE_SECONDS)
    client.starttls(context)
    assert client.login("someone", "secret")[0] == "OK"
    client.logout()
    client = place.elsewhere.call(imaplib.IMAP4_SSL, HERE, 993, ssl_context=context, timeout=DEADLINE_SECONDS)
    assert client.login("someone", "secret")[0] == "OK"
    client.logout()


def many_files(place, start):
    for port, text in ((8080, "front"), (8081, "shop"), (8082, "shop")):
        place.website(text, port=port)
    running = start()
    assert place.gets("https://app.test:8443/") == "front"
    assert place.gets("https://shop.example.com:8443/", "--insecure", *by_name("shop.example.com", 8443)) == "shop"
    assert place.curl("https://app.test:8444/")[0] != 0, "the partners' port wants a certificate"
    pair = place.authority.issue("partner.test", client=True)
    assert place.gets("https://app.test:8444/", "--cert", pair.certificate, "--key", pair.key) == "shop"

    def reloads():
        return json.loads(place.admin("/status.json")[1])["reload"]["ok"]

    place.website("a new service", port=8083)
    more = place.file.parent / "many-files.d" / "more.yaml"
    before = reloads()
    more.write_text("listeners: [{name: more, bind: ':8445', backend: more}]\nbackends: {more: {servers: 127.0.0.1:8083}}\n")
    wait_until(lambda: reloads() > before, lambda: running.output)
    assert place.gets("http://app.test:8445/") == "a new service"


def by_name(name, port):
    """The options of curl with which a name without an address leads to this machine."""
    return "--resolve", f"{name}:{port}:{HERE}"


def mtls_spiffe(place, start):
    place.website("the ledger", port=9001)
    place.website("the catalogue", port=9002)
    start()

    def told(identity):
        pair = place.authority.issue_svid(identity)
        return place.curl("https://app.test:8443/", "--cert", pair.certificate, "--key", pair.key)

    assert told("spiffe://prod.example/ns/billing/invoices") == (0, "the ledger")
    assert told("spiffe://prod.example/ns/web/shop") == (0, "the catalogue")
    assert told("spiffe://prod.example/ns/other/shop")[0] != 0
    assert place.curl("https://app.test:8443/")[0] != 0


def mysql(place, start):
    database = place.server(mariadb(place.authority.issue("db.internal")))
    place.machines.link("/run/mysqld/mysqld.sock", database.socket_address)
    place.machines.bridge("192.0.2.31", 3306, database.address)
    start()
    for port in (3306, 3307):
        told = place.elsewhere.run(
            tool("mariadb"), "--no-defaults", "--protocol=tcp", "-h", "app.test", "-P", port, "-unative", "-psecret",
            f"--ssl-ca={place.authority.file}", "--ssl-verify-server-cert", "--batch", "--skip-column-names",
            "-e", "select 6 * 7", "app",
        )  # fmt: skip
        assert told.stdout == "42\n", told


def open_internet(place, start):
    place.website("open")
    start()
    assert place.gets("https://app.test:8443/") == "open"


def private_link(place, start):
    for name, port in (("first", 8080), ("others", 8081)):
        web = place.server(nginx("proxy_protocol", f"location / {{ return 200 {name}; }}"))
        place.machines.bridge("127.0.0.1", port, web.address, place.here)
    start()

    def asks(endpoint):
        value = b"\x01" + endpoint.encode()
        rest = socket.inet_aton("203.0.113.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 40000, 443)
        rest += struct.pack("!BH", 0xEA, len(value)) + value
        with place.elsewhere.connect(HERE, 8443) as balancer:
            balancer.sendall(b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, len(rest)) + rest)
            with python_context(place.authority.file).wrap_socket(balancer, server_hostname="app.test") as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return read_to_end(client).rpartition(b"\r\n\r\n")[2]

    assert asks("vpce-0a1b2c3d4e5f60718") == b"first"
    assert asks("vpce-0b1b2c3d4e5f60718") == asks("vpce-0c1b2c3d4e5f60718") == b"others"
    with pytest.raises(OSError):
        asks("vpce-0d1b2c3d4e5f60718")


def originator(place, start):
    certificate = place.authority.issue("queue.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.load_verify_locations(place.authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    for host in ("192.0.2.32", "192.0.2.33"):
        queue = place.backend(echo, wrap=lambda connection: context.wrap_socket(connection, server_side=True))
        place.machines.bridge(host, 5671, queue.address)
    start()
    for _ in range(2):
        with place.here.connect("127.0.0.1", 5672) as client:
            client.sendall(b"published")
            assert client.recv(100) == b"published"


def passthrough(place, start):
    place.website("terminated")
    own = Authority(place.directory / "legacy", "The legacy system's own CA")
    legacy = place.tls_website("passed through", own.issue("legacy.example.com"))
    bridge = place.machines.bridge("192.0.2.10", 443, legacy)
    start()
    wait_until(lambda: bridge.accepted >= 2, "a second check comes after the first has ended")
    (server,) = json.loads(place.admin("/status.json?certificates=1")[1])["backends"][1]["servers"]
    assert server["up"], server
    assert place.gets("https://legacy.example.com/", authority=own) == "passed through"
    assert place.gets("https://app.test/") == "terminated"


def postgres_sidecar(place, start):
    comment = place.file.read_text().split("listeners:")[0]
    (lines,) = re.findall(r"^#   (local .*)$", comment, re.MULTILINE)
    standard = "local all all peer\nhostssl all all all cert\n"  # of which the second line never matches
    database = place.server(postgres(access=f"{lines}\n{standard}"))
    place.machines.link("/run/postgresql/.s.PGSQL.5432", database.address)
    start()

    def psql(user, name):
        pair = place.authority.issue(common_name=name, client=True)
        where = (
            f"host=app.test user={user} dbname=postgres password=secret sslmode=verify-full "
            f"sslrootcert={place.authority.file} sslcert={pair.certificate} sslkey={pair.key}"
        )
        return place.elsewhere.run(tool("psql"), "-X", "-A", "-t", "-c", "select 6 * 7", where)

    told = psql("app", "app")
    assert told.stdout == "42\n", told
    assert psql("app", "stranger").returncode != 0, "a name that is not in allow"
    refused = psql("postgres", "app")
    assert "Peer authentication failed" in refused.stderr, "the lines behind are PostgreSQL's own"


def proxy_protocol(place, start):
    web = place.server(nginx("proxy_protocol", "location / { return 200 $proxy_protocol_addr; }"))
    place.machines.bridge("127.0.0.1", 8080, web.address, place.here)
    start()
    with place.elsewhere.connect(HERE, 8443) as balancer:
        balancer.sendall(b"PROXY TCP4 203.0.113.7 198.51.100.1 40000 443\r\n")
        with python_context(place.authority.file).wrap_socket(balancer, server_hostname="app.test") as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert read_to_end(client).endswith(b"\r\n\r\n203.0.113.7")
    assert place.gets("https://app.test:8443/", "--interface", STRANGER) == STRANGER
    assert place.curl("https://app.test:8443/")[0] != 0, "a balancer must send a header"


def redis_with_tls(place, start):
    place.machines.bridge("127.0.0.1", 6379, place.server(redis()).address, place.here)
    start()
    told = place.elsewhere.run(
        tool("redis-cli"), "--tls", "--cacert", place.authority.file, "-h", "app.test", "-p", 6380, "set", "key", "value"
    )
    assert told.stdout == "OK\n", told
    with place.elsewhere.connect(HERE, 6380, source=STRANGER) as client:
        assert read_to_end(client) == b"", "another network may not connect"


def router_by_name(place, start):
    own = Authority(place.directory / "theirs", "The servers' own CA")
    for host in ("192.0.2.10", "192.0.2.11"):
        place.machines.bridge(host, 443, place.tls_website("a", own.issue("a.example.com", "*.a.example.com")))
    place.machines.bridge("192.0.2.20", 443, place.tls_website("the rest", own.issue("other.example.com", HERE)))
    start()
    assert place.gets("https://a.example.com/", authority=own) == "a"
    assert place.gets("https://www.a.example.com/", authority=own) == "a"
    assert place.gets("https://other.example.com/", authority=own) == "the rest"
    assert place.gets(f"https://{HERE}/", authority=own) == "the rest", "a client that sends no name"


def sidecar_caller(place, start):
    """Two Headgates, each beside its program: the caller's here, the ledger's elsewhere, as sidecar-server.yaml has it."""
    place.website("the ledger", machine=place.elsewhere)
    theirs = place.provide("sidecar-server")
    put_pair(theirs.parent / "ledger.crt", theirs.parent / "ledger.key", place.authority.issue("ledger.internal"))

    def becomes(identity):
        put_pair(place.file.parent / "caller.crt", place.file.parent / "caller.key", place.authority.issue_svid(identity))

    becomes("spiffe://prod.example/ns/billing/invoices")
    beside_ledger = place.start_on(place.elsewhere, theirs)
    wait_until(lambda: "listening" in beside_ledger.output, lambda: beside_ledger.output)
    start()

    def asks():
        with place.here.connect("127.0.0.1", 9001) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return read_to_end(client).rpartition(b"\r\n\r\n")[2]

    assert asks() == b"the ledger"
    becomes("spiffe://prod.example/ns/web/shop")
    wait_until(lambda: asks() == b"", "another service may not ask the ledger")


def sidecar_server(place, start):
    place.website("the ledger")
    start()
    pair = place.authority.issue_svid("spiffe://prod.example/ns/billing/invoices")
    assert place.gets("https://app.test:8443/", "--cert", pair.certificate, "--key", pair.key) == "the ledger"
    assert place.curl("https://app.test:8443/")[0] != 0


def unix_socket(place, start):
    for name in ("one", "two"):
        place.machines.link(f"/run/app/{name}.sock", place.server(nginx(server=f"location / {{ return 200 {name}; }}")).address)
    start()
    seen = set()
    wait_until(lambda: seen.add(place.gets("https://app.test/")) or seen == {"one", "two"}, lambda: seen)


def vault_agent(place, start):
    place.website("renewed by an agent")
    start()
    assert place.gets("https://app.test:8443/") == "renewed by an agent"


SCENES = {
    "redis": redis_with_tls,
    **{
        scene.__name__.replace("_", "-"): scene
        for scene in (
            cert_manager, grpc, headgate, http_by_alpn, kubernetes_pod_certificate, ldap, mail_originator, mail_server, many_files, mtls_spiffe,
            mysql, open_internet, originator, passthrough, postgres_sidecar, private_link, proxy_protocol, router_by_name, sidecar_caller,
            sidecar_server, unix_socket, vault_agent,
        )
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def program():
    """The program under test, where an unprivileged user can start it."""
    directory = short_directory()
    shutil.copy2(headgate_binary(), directory / "headgate")
    yield directory / "headgate"
    shutil.rmtree(directory)


@pytest.mark.skipif(not can_be_made(), reason="no name spaces for machines of one's own: only root has them, and not everywhere")
@pytest.mark.parametrize("name", sorted(set(EXAMPLES) - {"transparent"}))  # which test_transparent.py runs on a router
def test_every_example_serves_real_clients_as_it_is_written(name, authority, backend, program, monkeypatch):
    with contextlib.ExitStack() as exits:
        place = Place(name, authority, program, monkeypatch, exits)
        place.backend = backend
        SCENES[name](place, place.start)
