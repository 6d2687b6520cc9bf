"""TLS to the backend: from a plaintext listener, or again after a TLS one."""

import datetime
import socket
import ssl

import pytest

from harness.authority import Authority
from harness.backends import Backend, echo
from harness.config import plain_proxy, proxy
from harness.tls_client import connect, raw_socket, read_to_end
from harness.waiting import wait_until


@pytest.fixture
def tls_backend(backend):
    """Starts a backend that speaks TLS with the given certificate. `seen` records the wishes of each client."""

    def start_one(pair, serve=echo, client_ca=None, alpn=None, seen=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(pair.certificate), str(pair.key))
        if client_ca:
            context.load_verify_locations(str(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        if alpn:
            context.set_alpn_protocols(alpn)
        names = []

        def note_name(_, name, __):
            names.append(name)

        context.sni_callback = note_name

        def wrap(connection):
            wrapped = context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
            if seen is not None:
                seen.append({"sni": names[-1], "alpn": wrapped.selected_alpn_protocol(), "peer": wrapped.getpeercert()})
            return wrapped

        return backend(serve, wrap=wrap)

    return start_one


def test_a_plaintext_client_reaches_a_tls_backend(start, tls_backend, certificate, authority):
    one = tls_backend(certificate)
    headgate = start(plain_proxy(f"localhost:{one.port}", app={"tls": {"ca": str(authority.file)}}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"wrapped on the way")
        assert client.recv(100) == b"wrapped on the way"


def test_a_tls_client_reaches_a_tls_backend(start, tls_backend, certificate, authority):
    one = tls_backend(certificate)
    headgate = start(proxy(f"localhost:{one.port}", certificate, app={"tls": {"ca": str(authority.file)}}))
    with connect(headgate.port()) as client:
        client.exchange(b"unwrapped and wrapped again" * 1000)


def test_the_host_of_the_server_is_asked_for_and_verified(start, tls_backend, certificate, authority):
    seen = []
    one = tls_backend(certificate, seen=seen)
    headgate = start(plain_proxy(f"localhost:{one.port}", app={"tls": {"ca": str(authority.file)}}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        client.recv(1)
    assert seen[0]["sni"] == "localhost"


def test_a_configured_server_name_is_asked_for_and_verified(start, tls_backend, certificate, authority):
    seen = []
    one = tls_backend(certificate, seen=seen)
    tls = {"ca": str(authority.file), "server_name": "app.test"}
    headgate = start(plain_proxy(one.address, app={"tls": tls}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert seen[0]["sni"] == "app.test"


def test_the_clients_own_name_may_be_passed_on(start, tls_backend, certificate, authority):
    seen = []
    one = tls_backend(certificate, seen=seen)
    tls = {"ca": str(authority.file), "server_name": "$sni"}
    headgate = start(proxy(one.address, certificate, app={"tls": tls}))
    with connect(headgate.port(), sni="app.test") as client:
        client.exchange(b"x")
    assert seen[0]["sni"] == "app.test"


def refused(headgate):
    """Whether a plaintext client gets nothing, and the reason is the backend's handshake."""
    with raw_socket(headgate.port()) as client:
        assert read_to_end(client) == b""
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_handshake_failed", side="backend")


def test_a_backend_of_another_authority_is_refused(start, tls_backend, certificate, tmp_path):
    other = Authority(tmp_path / "other", "Another CA")
    one = tls_backend(certificate)
    refused(start(plain_proxy(f"localhost:{one.port}", app={"tls": {"ca": str(other.file)}})))


def test_a_backend_of_another_name_is_refused(start, tls_backend, certificate, authority):
    one = tls_backend(certificate)
    tls = {"ca": str(authority.file), "server_name": "other.test"}
    refused(start(plain_proxy(one.address, app={"tls": tls})))


def test_the_systems_authorities_do_not_vouch_for_a_private_one(start, tls_backend, certificate):
    one = tls_backend(certificate)
    refused(start(plain_proxy(f"localhost:{one.port}", app={"tls": {}})))


def test_verification_off_reaches_any_backend_and_is_warned_about(start, tls_backend, certificate):
    one = tls_backend(certificate)
    headgate = start(plain_proxy(one.address, app={"tls": {"verify": "off"}}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert [line for line in headgate.log if "verif" in line["message"] and line["level"] == "warn"]


def test_a_client_certificate_is_shown_to_the_backend(start, tls_backend, certificate, authority):
    seen = []
    ours = authority.issue(client=True, common_name="headgate")
    one = tls_backend(certificate, client_ca=authority.file, seen=seen)
    tls = {"ca": str(authority.file), "certificate": str(ours.certificate), "private_key": str(ours.key)}
    headgate = start(plain_proxy(f"localhost:{one.port}", app={"tls": tls}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert ((("commonName", "headgate"),),) == seen[0]["peer"]["subject"]


def test_the_clients_application_protocol_may_be_passed_on(start, tls_backend, certificate, authority):
    seen = []
    one = tls_backend(certificate, alpn=["h2", "http/1.1"], seen=seen)
    tls = {"ca": str(authority.file), "alpn": ["$alpn"]}
    headgate = start(
        proxy(f"localhost:{one.port}", certificate, tls={"alpn": ["h2", "http/1.1"]}, app={"tls": tls})
    )
    with connect(headgate.port(), alpn=["http/1.1"]) as client:
        client.exchange(b"x")
    assert seen[0]["alpn"] == "http/1.1"


def test_a_tls_backend_that_ends_without_close_notify_resets_the_client(start, tls_backend, certificate, authority):
    def cut(connection):
        connection.recv(1)
        connection.sendall(b"half of it")
        connection.detach_and_close()

    def cut_transport(connection):
        connection.recv(1)
        connection.sendall(b"half of it")
        socket.socket(fileno=connection.detach()).close()

    del cut
    one = tls_backend(certificate, serve=cut_transport)
    headgate = start(plain_proxy(f"localhost:{one.port}", app={"tls": {"ca": str(authority.file)}}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            while client.recv(100):
                pass
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_truncated")


def test_a_plaintext_backend_where_tls_is_expected_is_a_failed_backend_handshake(start, authority):
    with Backend(echo) as plain:
        refused(start(plain_proxy(f"localhost:{plain.port}", app={"tls": {"ca": str(authority.file)}})))


class Resuming:
    """A TLS backend that tells whether each connection was resumed."""

    def __init__(self, backend, pair, version):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(pair.certificate), str(pair.key))
        self.context.minimum_version = self.context.maximum_version = version
        self.resumed = []
        self.one = backend(echo, wrap=self.wrap)

    def wrap(self, connection):
        wrapped = self.context.wrap_socket(connection, server_side=True, suppress_ragged_eofs=False)
        self.resumed.append(wrapped.session_reused)
        return wrapped


BACKEND_VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def visit_plain(port):
    with raw_socket(port) as client:
        client.sendall(b"once more")
        assert client.recv(100) == b"once more"
        client.shutdown(socket.SHUT_WR)
        read_to_end(client)


@BACKEND_VERSIONS
def test_it_resumes_its_sessions_with_a_backend(start, backend, certificate, authority, version):
    there = Resuming(backend, certificate, version)
    headgate = start(plain_proxy(f"localhost:{there.one.port}", app={"tls": {"ca": str(authority.file)}}, workers=1))
    for _ in range(4):
        visit_plain(headgate.port())
    assert there.resumed == [False, True, True, True]


@BACKEND_VERSIONS
def test_it_resumes_no_session_of_one_server_with_another(start, backend, certificate, authority, version):
    """Both servers could open it, because they share their ticket keys. But each was verified separately."""
    one = Resuming(backend, certificate, version)
    other = Resuming(backend, certificate, version)
    other.context = one.context
    tls = {"ca": str(authority.file), "server_name": "localhost"}
    headgate = start(plain_proxy([one.one.address, other.one.address], app={"tls": tls}, workers=1))
    for _ in range(4):
        visit_plain(headgate.port())
    assert one.resumed == [False, True] and other.resumed == [False, True]


@BACKEND_VERSIONS
def test_it_resumes_no_session_of_one_name_for_another(start, backend, certificate, authority, version):
    both = authority.issue("one.test", "two.test")
    there = Resuming(backend, both, version)
    tls = {"ca": str(authority.file), "server_name": "$sni"}
    headgate = start(proxy(f"localhost:{there.one.port}", certificate, app={"tls": tls}, workers=1))
    for name in ("one.test", "two.test", "one.test", "two.test"):
        with connect(headgate.port(), sni=name) as client:
            client.exchange(b"by name")
    assert there.resumed == [False, False, True, True]


@BACKEND_VERSIONS
def test_a_session_ends_with_the_backends_certificate(start, backend, authority, version):
    """The backend would resume the session, but the certificate by which the backend was verified has expired."""
    short = authority.issue("localhost", not_after=datetime.timedelta(seconds=5), file="short-lived")
    there = Resuming(backend, short, version)
    tls = {"ca": str(authority.file), "server_name": "localhost"}  # by address: the name may have an address on which nothing listens
    headgate = start(plain_proxy(there.one.address, app={"tls": tls}, workers=1))
    visit_plain(headgate.port())
    visit_plain(headgate.port())
    assert there.resumed == [False, True]
    expired = short.x509.not_valid_after.replace(tzinfo=datetime.UTC) + datetime.timedelta(seconds=1)  # time() is coarse
    wait_until(lambda: datetime.datetime.now(datetime.UTC) > expired, "the certificate has expired")
    with raw_socket(headgate.port()) as client:
        assert read_to_end(client) == b""
    headgate.wait_metric("headgate_connections_closed_total", reason="backend_handshake_failed")
    assert True not in there.resumed[2:]


def test_nothing_is_resumed_after_another_authority_is_trusted(start, backend, certificate, authority, tmp_path):
    there = Resuming(backend, certificate, ssl.TLSVersion.TLSv1_3)
    config = plain_proxy(f"localhost:{there.one.port}", app={"tls": {"ca": str(authority.file)}}, workers=1)
    headgate = start(config)
    visit_plain(headgate.port())
    config["backends"]["app"]["tls"]["ca"] = str(Authority(tmp_path / "other").file)
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    with raw_socket(headgate.port()) as client:
        assert read_to_end(client) == b""
    assert True not in there.resumed


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_a_second_server_is_reached_when_its_socket_gets_the_number_of_the_first(
    start, backend, certificate, authority, tmp_path, family
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate.certificate), str(certificate.key))

    def refuse(connection):
        connection.recv(65536)
        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure

    def path(name):
        return {"path": tmp_path / name} if family == "unix" else {}

    bad = backend(refuse, **path("bad"))
    good = backend(echo, wrap=lambda connection: context.wrap_socket(connection, server_side=True), **path("good"))
    app = {
        "connect_timeout": "60s",
        "ejection": {"failures": 100, "for": "1s"},
        "tls": {"ca": str(authority.file), "server_name": "app.test"},
    }
    headgate = start({**plain_proxy([bad.address, good.address], app=app), "workers": 1})
    for _ in range(8):
        with raw_socket(headgate.port()) as client:
            client.sendall(b"served by the second")
            assert client.recv(20) == b"served by the second"
