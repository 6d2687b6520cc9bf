"""TLS to the backend: from a plaintext listener, or again after a TLS one."""

import datetime
import socket
import ssl
import time

import pytest

from harness.authority import Authority
from harness.backends import Backend, echo
from harness.config import plain_proxy, proxy
from harness.tls_client import connect, raw_socket, read_to_end
from harness.waiting import wait_until


@pytest.fixture
def tls_backend(backend):
    """Starts a backend that speaks TLS with the given certificate. `seen` records the wishes of each client; `refuse` says
    for some names how the handshake ends."""

    def start_one(pair, serve=echo, client_ca=None, alpn=None, seen=None, refuse=None, group=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(pair.certificate), str(pair.key))
        if client_ca:
            context.load_verify_locations(str(client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        if group:
            context.set_ecdh_curve(group)
        if alpn:
            context.set_alpn_protocols(alpn)
        names = []

        def note_name(_, name, __):
            names.append(name)
            how = (refuse or {}).get(name)
            if how == "silence":
                time.sleep(1)  # Longer than the client waits.
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if how == "alert" else None

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


@pytest.mark.parametrize("group", ["prime256v1", "secp384r1", "secp521r1"])
def test_a_backend_may_have_one_group_alone(start, tls_backend, certificate, authority, group):
    one = tls_backend(certificate, group=group)
    headgate = start(plain_proxy(f"localhost:{one.port}", app={"tls": {"ca": str(authority.file)}}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"by this group")
        assert client.recv(100) == b"by this group"


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


def test_a_server_that_is_an_address_is_verified_by_that_address(start, tls_backend, certificate, authority):
    """No name stands in the file then, and an address is not asked for: RFC 6066, section 3."""
    seen = []
    one = tls_backend(certificate, seen=seen)
    headgate = start(plain_proxy(one.address, app={"tls": {"ca": str(authority.file)}}))
    with raw_socket(headgate.port()) as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    assert seen[0]["sni"] is None


def test_a_server_whose_certificate_lacks_its_address_is_refused(start, tls_backend, authority):
    one = tls_backend(authority.issue("app.test", "127.0.0.2"))
    refused(start(plain_proxy(one.address, app={"tls": {"ca": str(authority.file)}})))


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
    refused(headgate)
    assert True not in there.resumed[2:]


def test_nothing_is_resumed_after_another_authority_is_trusted(start, backend, certificate, authority, tmp_path):
    there = Resuming(backend, certificate, ssl.TLSVersion.TLSv1_3)
    config = plain_proxy(f"localhost:{there.one.port}", app={"tls": {"ca": str(authority.file)}}, workers=1)
    headgate = start(config)
    visit_plain(headgate.port())
    config["backends"]["app"]["tls"]["ca"] = str(Authority(tmp_path / "other").file)
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    refused(headgate)
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


def test_the_log_the_status_and_the_health_check_say_why_a_servers_certificate_is_refused(
    start, tls_backend, authority, tmp_path
):
    day = datetime.timedelta(days=1)
    stranger = Authority(tmp_path / "stranger", "Stranger")
    servers = {
        "certificate has expired": authority.issue("db.test", not_before=-10 * day, not_after=-day),
        "certificate is not yet valid": authority.issue("db.test", not_before=day),
        "the certificate is for other.test, third.test, not for db.test": authority.issue("other.test", "third.test"),
        "unable to get local issuer certificate": stranger.issue("db.test", chain=False),
    }
    for expected, pair in servers.items():
        one = tls_backend(pair)
        config = plain_proxy(one.address, app={"tls": {"ca": str(authority.file), "server_name": "db.test"}})
        headgate = start(config)
        refused(headgate)
        assert expected in headgate.wait_log(message="connection ended")[0]["detail"]
        # Only now: a client that comes when the server is down is told so, and not why.
        config["backends"]["app"]["health_check"] = {"type": "tls", "interval": "50ms", "fall": 2}
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        assert expected in headgate.wait_log(message="server is down")[0]["why"]
        wait_until(lambda text=expected: text in headgate.get("/status.json")[1], "the status says why too")
        one.failures.clear()


@pytest.mark.parametrize("end", ["name_not_covered", "alert", "silence"])
def test_a_server_is_not_ejected_for_the_names_that_clients_invent(start, tls_backend, authority, end):
    """Only the first server answers for `odd.test`: the second one refuses, or keeps silent, in its own way."""
    names = ["good.test", "odd.test"]
    served = {"first": 0, "second": 0}

    def serving(name):
        def serve(connection):
            served[name] += 1
            echo(connection)

        return serve

    first = tls_backend(authority.issue(*names), serve=serving("first"))
    second = tls_backend(authority.issue("good.test"), serve=serving("second"), refuse={"odd.test": end})
    settings = {
        "tls": {"ca": str(authority.file), "server_name": "$sni"},
        "ejection": {"failures": 2, "for": "1h"},
        "connect_timeout": "300ms",
    }
    servers = [f"localhost:{one.port}" for one in (first, second)]
    headgate = start(proxy(servers, authority.issue(*names), app=settings, workers=1))
    for _ in range(10):
        with connect(headgate.port(), sni="odd.test") as client:
            client.exchange(b"by the first one, at the second attempt")
    assert headgate.metric("headgate_backend_connect_failures_total", server=servers[1]) >= 4
    served["second"] = 0
    for _ in range(10):
        with connect(headgate.port(), sni="good.test") as client:
            client.exchange(b"by both")
    assert served["second"] == 5, served
    first.failures.clear()
    second.failures.clear()
