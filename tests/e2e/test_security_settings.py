"""Each security setting works on the wire: at the start, after a reload that brings it, and after an upgrade."""

import ssl

import pytest
from OpenSSL import SSL

from harness.config import plain_proxy, proxy
from harness.tls_client import TLS12, TLS13, connect, handshake_alert, python_context, python_tls, raw_socket, visit
from harness.waiting import wait_until


def is_served(port, **options):
    """Whether a client is let in and answered."""
    try:
        with connect(port, **options) as client:
            client.exchange(b"x")
            return True
    except (SSL.Error, OSError, AssertionError):
        return False


def with_group(port, group):
    context = python_context()
    context.set_ecdh_curve(group)
    try:
        with python_tls(port, context=context) as client:
            client.sendall(b"x")
            return client.recv(1) == b"x"
    except (ssl.SSLError, OSError):
        return False


def resumes(port, version):
    context = python_context(version=version)
    _, session = visit(port, context)
    return visit(port, context, session=session)[0]


def first_client(port):
    """A connected client; the place of the client before may not be free yet."""
    clients = []

    def take_place():
        try:
            clients.append(connect(port))
            clients[-1].exchange(b"x")
            return True
        except (SSL.Error, OSError, AssertionError):
            return False

    wait_until(take_place, "a place is free")
    return clients[-1]


def second_is_served(port):
    with first_client(port):
        return is_served(port)


def handshakes_of_many(port):
    """Whether all of 40 are served: one a second would take most of a minute."""
    return all(is_served(port) for _ in range(40))


def with_ciphers(port, ciphers):
    return is_served(port, version=TLS12, ciphers=ciphers)


# For each setting: the keys of `tls` and of the listener, whether the client is served that the setting refuses,
# and whether the client is served that it lets in.
SETTINGS = {
    "min_version": (
        {"min_version": "1.3"},
        {},
        lambda port: is_served(port, version=TLS12),
        lambda port: is_served(port, version=TLS13),
    ),
    "max_version": (
        {"max_version": "1.2"},
        {},
        lambda port: is_served(port, version=TLS13),
        lambda port: is_served(port, version=TLS12),
    ),
    "ciphers": (
        {"ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {},
        lambda port: with_ciphers(port, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        lambda port: with_ciphers(port, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ),
    "groups": (
        {"groups": ["P-384"]},
        {},
        lambda port: with_group(port, "prime256v1"),
        lambda port: with_group(port, "secp384r1"),
    ),
    "tickets-1.3": (
        {"resumption": {"tickets": "off"}},
        {},
        lambda port: resumes(port, ssl.TLSVersion.TLSv1_3),
        is_served,
    ),
    "tickets-1.2": (
        {"resumption": {"tickets": "off"}},
        {},
        lambda port: resumes(port, ssl.TLSVersion.TLSv1_2),
        is_served,
    ),
    "unknown_name": (
        {"unknown_name": "reject"},
        {},
        lambda port: is_served(port, sni="stranger.test"),
        lambda port: is_served(port, sni="app.test"),
    ),
    "missing_name": (
        {"missing_name": "reject"},
        {},
        lambda port: is_served(port, sni=None),
        lambda port: is_served(port, sni="stranger.test"),
    ),
    "max_connections": ({}, {"limits": {"max_connections": 1}}, second_is_served, is_served),
    "max_connections_per_source": ({}, {"limits": {"max_connections_per_source": 1}}, second_is_served, is_served),
    "handshake_rate": ({}, {"limits": {"handshake_rate": 1}}, handshakes_of_many, is_served),
    "connection_rate": ({}, {"limits": {"connection_rate": 1}}, handshakes_of_many, is_served),
    "connection_rate_per_source": ({}, {"limits": {"connection_rate_per_source": 1}}, handshakes_of_many, is_served),
    "deny": ({}, {"deny": ["127.0.0.0/8"]}, is_served, None),
    "allow": ({}, {"allow": ["192.0.2.0/24"]}, is_served, None),
}


def assert_in_force(port, refused, let_in):
    assert not refused(port)
    # A place is free again once the end of the connection before has been seen; a rate counts by the second.
    if let_in:
        wait_until(lambda: let_in(port), "the right client is let in")


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_in_force_at_the_start_after_a_reload_and_after_an_upgrade(
    line, backend, certificate, setting
):
    tls, listener, refused, let_in = SETTINGS[setting]
    one = backend()
    loose = proxy(one.address, certificate)
    strict = proxy(one.address, certificate, tls=tls, listener=listener)
    running = line(strict)
    headgate = running.headgate
    port = headgate.port()
    assert_in_force(port, refused, let_in)

    headgate.write_config(loose)
    assert headgate.post("/reload")[0] == 200
    wait_until(lambda: refused(port), "without the setting that client is let in")

    headgate.write_config(strict)
    assert headgate.post("/reload")[0] == 200
    assert_in_force(port, refused, let_in)

    running.upgrade()
    assert_in_force(port, refused, let_in)


def test_the_alert_for_a_version_below_the_minimum_stays_the_same_after_a_reload(start, backend, certificate):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    config["listeners"][0]["tls"]["min_version"] = "1.3"
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    assert "protocol version" in handshake_alert(headgate.port(), version=TLS12)


def test_a_plain_listener_denies_sources_after_a_reload_and_an_upgrade(line, backend):
    one = backend()
    running = line(plain_proxy(one.address))
    port = running.headgate.port()
    running.headgate.write_config(plain_proxy(one.address, listener={"deny": ["127.0.0.1"]}))
    assert running.headgate.post("/reload")[0] == 200
    for _ in range(2):
        with raw_socket(port) as client:
            try:
                assert client.recv(1) == b""
            except ConnectionResetError:
                pass
        running.upgrade()
    assert one.accepted == 0
