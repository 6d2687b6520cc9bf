"""PostgreSQL is the backend and psql the client. TLS begins after the protocol's own upgrade."""

import os
import select
import struct

import pytest

from harness.config import proxy
from harness.servers import postgres
from harness.tls_client import python_context, raw_socket
from harness.tools import run, tool
from harness.waiting import wait_until


@pytest.fixture(scope="module")
def database():
    with postgres() as server:
        yield server


@pytest.fixture
def postgres_proxy(start, database, certificate, record_layer):
    listener = {"starttls": "postgres"}
    return start(proxy(database.address, certificate, tls={"record_layer": record_layer}, listener=listener))


def psql(headgate, query, sslmode="verify-full", authority=None, more=""):
    where = f"host=localhost port={headgate.port()} user=app dbname=postgres sslmode={sslmode} gssencmode=disable {more}"
    if authority:
        where += f" sslrootcert={authority.file}"
    return run(tool("psql"), "-X", "-A", "-t", "-c", query, where, env={**os.environ, "PGCONNECT_TIMEOUT": "20"})


def test_psql_verifies_and_queries(postgres_proxy, authority):
    told = psql(postgres_proxy, "select 6 * 7", authority=authority)
    assert told.stdout == "42\n", told
    postgres_proxy.wait_metric("headgate_handshakes_total", result="ok")


def test_psql_moves_a_large_result(postgres_proxy, authority):
    told = psql(postgres_proxy, "select repeat('x', 5000000)", authority=authority)
    assert told.stdout == "x" * 5_000_000 + "\n"


def test_psql_without_tls_is_refused(postgres_proxy):
    told = psql(postgres_proxy, "select 1", sslmode="disable")
    assert told.returncode != 0
    postgres_proxy.wait_metric("headgate_connections_closed_total", reason="starttls_not_requested")


SSL_REQUEST = struct.pack(">II", 8, 80877103)
GSS_REQUEST = struct.pack(">II", 8, 80877104)


def startup(**parameters):
    words = b"".join(f"{key}\0{value}\0".encode() for key, value in {"user": "app", **parameters}.items()) + b"\0"
    return struct.pack(">II", 8 + len(words), 3 << 16) + words


class Session:
    """A client of the protocol's own words: it logs in over `connection` and asks."""

    def __init__(self, connection, **parameters):
        self.connection = connection
        connection.sendall(startup(**{"database": "postgres", **parameters}))
        self.key = dict(self.answers())[b"K"]

    def answers(self):
        """The messages up to ReadyForQuery, as (type, body)."""
        messages = []
        while not messages or messages[-1][0] != b"Z":
            kind, size = struct.unpack(">cI", self.receive(5))
            messages.append((kind, self.receive(size - 4)))
        return messages

    def receive(self, size):
        received = b""
        while len(received) < size:
            piece = self.connection.recv(size - len(received))
            assert piece, received
            received += piece
        return received

    def begin(self, query):
        body = query.encode() + b"\0"
        self.connection.sendall(b"Q" + struct.pack(">I", 4 + len(body)) + body)

    def ask(self, query):
        self.begin(query)
        return self.answers()


def upgraded(headgate, authority):
    """A connection with TLS by SSLRequest."""
    connection = raw_socket(headgate.port())
    connection.sendall(SSL_REQUEST)
    assert connection.recv(1) == b"S"
    return python_context(authority.file).wrap_socket(connection, server_hostname="app.test")


def test_a_client_that_wants_gss_encryption_first_goes_on_to_tls(postgres_proxy, authority):
    with raw_socket(postgres_proxy.port()) as connection:
        connection.sendall(GSS_REQUEST)
        assert connection.recv(1) == b"N"
        connection.sendall(SSL_REQUEST)
        assert connection.recv(1) == b"S"
        with python_context(authority.file).wrap_socket(connection, server_hostname="app.test") as client:
            assert (b"D", b"\0\1\0\0\0\x0242") in Session(client).ask("select 6 * 7")


def test_a_client_may_begin_with_tls_at_once(start, database, certificate, authority, record_layer):
    """As libpq does with sslnegotiation=direct: it insists on the protocol's name."""
    tls = {"record_layer": record_layer, "alpn": ["postgresql"]}
    headgate = start(proxy(database.address, certificate, tls=tls, listener={"starttls": "postgres"}))
    context = python_context(authority.file)
    context.set_alpn_protocols(["postgresql"])
    with raw_socket(headgate.port()) as connection:
        with context.wrap_socket(connection, server_hostname="app.test") as client:
            assert client.selected_alpn_protocol() == "postgresql"
            assert (b"D", b"\0\1\0\0\0\x0242") in Session(client).ask("select 6 * 7")


def cancel_over_tls(headgate, authority, key):
    with upgraded(headgate, authority) as other:
        other.sendall(struct.pack(">II", 16, 80877102) + key)
        assert other.recv(1) == b""


def cancel_in_plaintext(headgate, _, key):
    """As libpq does before PostgreSQL 17."""
    with raw_socket(headgate.port()) as other:
        other.sendall(struct.pack(">II", 16, 80877102) + key)
        assert other.recv(1) == b""


def is_cancelled(session, cancel):
    """Begins a query that takes minutes, and cancels it with `cancel()`."""
    session.begin("select pg_sleep(300)")

    def is_answered():
        # The server ignores a request to cancel that comes before the query.
        cancel()
        return select.select([session.connection], [], [], 0.2)[0]

    wait_until(is_answered, "the query goes on")
    error = dict(session.answers())[b"E"]
    return b"C57014\0" in error and (b"D", b"\0\1\0\0\0\x0242") in session.ask("select 6 * 7")


@pytest.mark.parametrize("cancel", [cancel_over_tls, cancel_in_plaintext])
def test_a_query_is_cancelled(postgres_proxy, authority, cancel):
    with upgraded(postgres_proxy, authority) as client:
        session = Session(client)
        assert is_cancelled(session, lambda: cancel(postgres_proxy, authority, session.key))


@pytest.mark.parametrize("cancel", [cancel_over_tls, cancel_in_plaintext])
def test_a_query_is_cancelled_at_whichever_server_it_runs(start, database, certificate, authority, cancel):
    with postgres() as other:
        servers = [database.address, other.address]
        headgate = start(proxy(servers, certificate, listener={"starttls": "postgres"}, workers=1))
        with upgraded(headgate, authority) as first, upgraded(headgate, authority) as second:
            sessions = [Session(first), Session(second)]
            directories = {dict(one.ask("show data_directory"))[b"D"] for one in sessions}
            assert len(directories) == 2, "each has its session at another server"
            for session in sessions:
                assert is_cancelled(session, lambda key=session.key: cancel(headgate, authority, key))


def test_a_replication_connection_passes(postgres_proxy, authority):
    with upgraded(postgres_proxy, authority) as client:
        session = Session(client, replication="true")
        described, row = [body for kind, body in session.ask("IDENTIFY_SYSTEM") if kind in (b"T", b"D")]
        assert b"systemid" in described and len(row) > 20


def binding(headgate, authority, how):
    """Whether psql logs in by SCRAM; `how` is its channel_binding."""
    return psql(headgate, "select 6 * 7", authority=authority, more=f"password=secret channel_binding={how}").stdout == "42\n"


SCRAM = "local all all scram-sha-256\nhostssl all all all scram-sha-256\n"


def test_no_client_can_bind_to_a_channel_whose_tls_the_server_does_not_see(start, certificate, authority):
    with postgres(access=SCRAM) as server:
        headgate = start(proxy(server.address, certificate, listener={"starttls": "postgres"}))
        assert [binding(headgate, authority, how) for how in ("disable", "prefer", "require")] == [True, True, False]


@pytest.mark.parametrize("same", [True, False], ids=["one-certificate", "two-certificates"])
def test_channel_binding_needs_one_certificate_where_the_server_has_tls_too(start, certificate, authority, same):
    own = certificate if same else authority.issue("app.test", "localhost")
    with postgres(own, access=SCRAM) as server:
        tls = {"starttls": "postgres", "ca": str(authority.file), "server_name": "localhost"}
        headgate = start(proxy(server.address, certificate, listener={"starttls": "postgres"}, app={"tls": tls}))
        outcome = [binding(headgate, authority, how) for how in ("disable", "prefer", "require")]
        assert outcome == [True, same, same]
