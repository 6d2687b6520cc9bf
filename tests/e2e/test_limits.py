"""The limits of a listener and of the process, each against the client from which it protects."""

import contextlib
import time

import pytest

from harness.backends import CHUNK_BYTES, ManyEcho
from harness.config import plain_proxy, proxy
from harness.tls_client import TlsClient, connect, python_context, python_tls, raw_socket, read_to_end, seen_by
from harness.waiting import DEADLINE_SECONDS, wait_until

FLOODER, HONEST = "127.0.0.2", "127.0.0.3"


def is_answered(connection):
    """Whether a backend answers behind this connection."""
    try:
        with connection as client:
            client.sendall(b"x")
            return client.recv(1) == b"x"
    except OSError:
        return False


def plain_client(port, source):
    return is_answered(raw_socket(port, source))


def tls_client(port, source):
    try:
        return is_answered(python_tls(port, source=source))
    except OSError:
        return False


def two_listeners(backend, certificate, **limits):
    """The listeners `web` with TLS and `plain` without, under limits of the process."""
    config = proxy(backend, certificate, limits=limits)
    config["listeners"].append({"name": "plain", "bind": "127.0.0.1:0", "backend": "app"})
    return config


# --- rates


@pytest.fixture(params=["plain", "tls"])
def kind(request, certificate):
    """A function that makes a configuration, and one that says whether a client of it is served."""
    if request.param == "plain":
        return plain_proxy, plain_client
    return lambda backend, **keys: proxy(backend, certificate, **keys), tls_client


def test_a_flood_of_connections_gets_no_more_than_the_rate(start, backend, kind):
    config_of, is_served = kind
    one = backend()
    headgate = start(config_of(one.address, listener={"limits": {"connection_rate": 1}}))
    began = time.monotonic()
    served = sum(is_served(headgate.port(), FLOODER) for _ in range(40))
    assert 2 <= served <= 2 + (time.monotonic() - began), "a second's worth may come at once, and then one a second"
    assert one.accepted == served
    refused = headgate.wait_log(reason="connection_limit")
    assert {line["detail"] for line in refused} == {"limits.connection_rate"}
    headgate.wait_metric("headgate_connections_closed_total", 40 - served, reason="connection_limit", side="none")


def test_a_source_that_floods_takes_nothing_from_others(start, backend, kind):
    config_of, is_served = kind
    limits = {"limits": {"connection_rate_per_source": 2, "connection_rate": 1000}}
    headgate = start(config_of(backend().address, listener=limits))
    served = 0
    for _ in range(3):
        served += sum(is_served(headgate.port(), FLOODER) for _ in range(20))
        assert is_served(headgate.port(), HONEST)
    assert served < 60
    refused = headgate.wait_log(reason="source_limit")
    assert {line["detail"] for line in refused} == {"limits.connection_rate_per_source"}
    assert {line["source"].rsplit(":", 1)[0] for line in refused} == {FLOODER}
    headgate.wait_metric("headgate_connections_closed_total", 60 - served, reason="source_limit", side="client")


# --- places


@pytest.mark.parametrize(("limit", "reason"), [("max_connections", "connection_limit"), ("max_connections_per_source", "source_limit")])
def test_connections_count_that_were_there_before_the_limit_of_their_listener(line, backend, limit, reason):
    one = backend()
    loose = plain_proxy(one.address)
    strict = plain_proxy(one.address, listener={"limits": {limit: 2}})
    running = line(loose)
    headgate = running.headgate
    port = headgate.port()
    held = [raw_socket(port, HONEST) for _ in range(3)]
    for client in held:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
    headgate.write_config(strict)
    assert headgate.post("/reload")[0] == 200
    wait_until(lambda: not plain_client(port, HONEST), "the three count")
    assert headgate.wait_log(reason=reason)[-1]["detail"] == f"limits.{limit}"
    running.upgrade()
    assert not plain_client(port, HONEST), "they still count in the new process"
    held.pop().close()
    headgate.wait_metric("headgate_connections_active", 2)
    assert not plain_client(port, HONEST), "two are as many as may be"
    held.pop().close()
    wait_until(lambda: plain_client(port, HONEST), "there is room for a second one")
    for client in held:
        client.close()


# --- penalties

PENALTY = {"limits": {"penalty": {"failures": 5, "within": "1h", "for": "1h"}}}


def scan(port, source, times=1):
    """Sends bytes that are no TLS, as a scanner does; returns the answers."""
    answers = []
    for _ in range(times):
        with raw_socket(port, source) as client:
            client.sendall(b"SSH-2.0-scanner\r\n")
            answers.append(read_to_end(client))
    return answers


def test_a_source_whose_handshakes_keep_failing_gets_no_connection_for_a_while(line, backend, certificate):
    one = backend()
    strict = proxy(one.address, certificate, listener=PENALTY)
    running = line(strict)
    headgate = running.headgate
    port = headgate.port()
    with python_tls(port, source=FLOODER) as early:
        early.sendall(b"x")
        assert early.recv(1) == b"x", "its handshake has been counted, which takes a failure back"
        assert all(scan(port, FLOODER, 5)), "each is answered with an alert"
        headgate.wait_metric("headgate_sources_penalized_total", 1, listener="web")
        assert not tls_client(port, FLOODER)
        assert tls_client(port, HONEST)
        early.sendall(b"x")
        assert early.recv(1) == b"x", "connections that are there go on"
    refused = headgate.wait_log(reason="source_penalized")[0]
    assert refused["source"].rsplit(":", 1)[0] == FLOODER
    headgate.wait_metric("headgate_connections_closed_total", 1, reason="source_penalized", side="client")

    headgate.write_config({**strict, "log": {**strict["log"], "access": "failures"}})
    assert headgate.post("/reload")[0] == 200
    assert not tls_client(port, FLOODER), "a reload keeps penalties"
    headgate.write_config(proxy(one.address, certificate))
    assert headgate.post("/reload")[0] == 200
    assert tls_client(port, FLOODER), "without the key there is none"
    headgate.write_config(strict)
    assert headgate.post("/reload")[0] == 200
    running.upgrade()
    scan(port, FLOODER, 5)
    headgate.wait_metric("headgate_sources_penalized_total", 1, listener="web")
    assert not tls_client(port, FLOODER), "the new process penalizes, too"
    assert tls_client(port, HONEST)


def test_a_penalty_ends_by_itself(start, backend, certificate):
    limits = {"penalty": {"failures": 2, "within": "1h", "for": "100ms"}}
    headgate = start(proxy(backend().address, certificate, listener={"limits": limits}))
    scan(headgate.port(), FLOODER, 2)
    headgate.wait_metric("headgate_sources_penalized_total", 1)
    wait_until(lambda: tls_client(headgate.port(), FLOODER), "the penalty is over")


def test_a_nat_with_one_broken_client_is_not_penalized(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, listener=PENALTY))
    for _ in range(10):
        scan(headgate.port(), FLOODER)
        assert tls_client(headgate.port(), FLOODER)
    assert headgate.metric("headgate_sources_penalized_total") == 0


# --- a slow ClientHello


def drip(client, data, seconds):
    """Sends a byte every 50 ms, until the other side ends or the time is over. Returns whether it ended."""
    deadline = time.monotonic() + seconds
    client.settimeout(0.05)
    for byte in data:
        if time.monotonic() > deadline:
            return False
        try:
            client.sendall(bytes([byte]))
            if not client.recv(1):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def test_a_client_that_drips_its_hello_is_ended_long_before_the_handshakes_timeout(line, backend, certificate):
    one = backend()
    listener = {"timeouts": {"handshake": "1h"}}
    strict = proxy(one.address, certificate, listener=listener)
    loose = proxy(one.address, certificate, listener={**listener, "limits": {"hello_bytes_per_second": 0}})
    running = line(strict)
    headgate = running.headgate
    port = headgate.port()

    def is_ended(seconds=DEADLINE_SECONDS):
        with TlsClient(port) as client:
            return drip(client.socket, client.client_hello() * 10, seconds)

    assert is_ended()
    assert headgate.wait_log(reason="slow_hello")[0]["phase"] == "hello"
    headgate.wait_metric("headgate_connections_closed_total", 1, reason="slow_hello", side="client")
    headgate.write_config(loose)
    assert headgate.post("/reload")[0] == 200
    assert not is_ended(8)
    headgate.write_config(strict)
    assert headgate.post("/reload")[0] == 200
    running.upgrade()
    assert is_ended()
    assert tls_client(port, HONEST)


# --- a slow reader


def endless(connection):
    """Sends until the other side ends."""
    connection.recv(1)
    while True:
        connection.sendall(b"a" * CHUNK_BYTES)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_client_that_does_not_read_is_cut_and_one_that_reads_goes_on(line, backend, certificate):
    servers = backend(endless)
    # It begins to read when it has been cut, and has this long to find out.
    listener = {"limits": {"read_bytes_per_second": 100_000}, "timeouts": {"shutdown": "30s"}}
    running = line(proxy(servers.address, certificate, listener=listener))
    headgate = running.headgate
    context = python_context()
    with connect(headgate.port()) as deaf, python_tls(headgate.port(), context=context) as reading:
        deaf.send(b"x")
        reading.sendall(b"x")
        servers.wait_open(2)
        running.upgrade()
        began = time.monotonic()
        while servers.open > 1 and time.monotonic() < began + 3 * DEADLINE_SECONDS:
            assert reading.recv(16384), "the one that reads goes on"
        assert seen_by(deaf)[1] == "tlsv1 alert internal error"
        assert reading.recv(16384)
    assert [line["side"] for line in headgate.wait_log(reason="slow_reader")] == ["client"]


# --- the process


def test_the_connections_of_all_listeners_count_for_the_limit_of_the_process(start, backend, certificate):
    headgate = start(two_listeners(backend().address, certificate, max_connections=3))
    ports = [headgate.port("web"), headgate.port("plain")]
    with connect(ports[0]) as one, connect(ports[0]) as other, raw_socket(ports[1]) as plain:
        one.exchange(b"x")
        other.exchange(b"x")
        plain.sendall(b"x")
        assert plain.recv(1) == b"x"
        assert not tls_client(ports[0], FLOODER)
        assert not plain_client(ports[1], FLOODER)
        refused = headgate.wait_log(2, reason="connection_limit")
        assert {(line["listener"], line["detail"]) for line in refused} == {
            ("web", "limits.max_connections of the process"),
            ("plain", "limits.max_connections of the process"),
        }
        one.exchange(b"still here")
    wait_until(lambda: plain_client(ports[1], HONEST), "there is room again")
    headgate.wait_metric("headgate_connections_active", 0)


def test_a_reload_that_brings_the_limit_counts_the_connections_that_are_there(line, backend, certificate):
    one = backend()
    loose = two_listeners(one.address, certificate)
    strict = two_listeners(one.address, certificate, max_connections=2)
    running = line(loose)
    headgate = running.headgate
    port = headgate.port("plain")
    with raw_socket(port) as held, raw_socket(port) as also_held:
        for client in (held, also_held):
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        headgate.write_config(strict)
        assert headgate.post("/reload")[0] == 200
        assert not plain_client(port, HONEST)
        running.upgrade()
        assert not plain_client(port, HONEST), "the connections that moved count"
        headgate.write_config(loose)
        assert headgate.post("/reload")[0] == 200
        assert plain_client(port, HONEST)
        headgate.write_config(strict)
        assert headgate.post("/reload")[0] == 200
        assert not plain_client(port, HONEST)
        for client in (held, also_held):
            client.sendall(b"y")
            assert client.recv(1) == b"y"
    wait_until(lambda: plain_client(port, HONEST), "there is room again")


def test_the_handshakes_of_all_listeners_count_for_the_rate_of_the_process(line, backend, certificate):
    one = backend()
    strict = two_listeners(one.address, certificate, handshake_rate=1)
    strict["listeners"].append({**strict["listeners"][0], "name": "other"})
    loose = {**strict, "limits": {}}
    running = line(loose)
    headgate = running.headgate
    ports = [headgate.port("web"), headgate.port("other")]

    def many_are_served():
        return all(tls_client(ports[i % 2], HONEST) for i in range(40))

    assert many_are_served()
    headgate.write_config(strict)
    assert headgate.post("/reload")[0] == 200
    assert not many_are_served()
    assert headgate.wait_log(reason="handshake_shed")[0]["detail"] == "limits.handshake_rate of the process"
    assert plain_client(headgate.port("plain"), HONEST), "a connection without TLS has no handshake"
    running.upgrade()
    assert not many_are_served()
    headgate.write_config(loose)
    assert headgate.post("/reload")[0] == 200
    assert many_are_served()


# --- memory

MIB = 1 << 20


def with_memory(backend, certificate, mebibytes):
    return proxy(backend, certificate, limits={"max_memory": f"{mebibytes}MiB"})


def test_near_the_limit_of_memory_new_connections_are_refused_and_established_ones_go_on(line, backend, certificate):
    one = backend()
    enough, too_little = (with_memory(one.address, certificate, mebibytes) for mebibytes in (1 << 20, 1))
    running = line(enough)
    headgate = running.headgate
    port = headgate.port()
    with connect(port) as client:
        for _ in range(2):
            headgate.write_config(too_little)
            assert headgate.post("/reload")[0] == 200
            assert not tls_client(port, HONEST)
            refused = headgate.wait_log(reason="memory_limit")[-1]
            assert refused["detail"] == "limits.max_memory"
            client.exchange(b"still here")
            headgate.write_config(enough)
            assert headgate.post("/reload")[0] == 200
            assert tls_client(port, HONEST)
            running.upgrade()
        client.exchange(b"still here")
    headgate.write_config(too_little)
    assert headgate.post("/reload")[0] == 200
    running.wait_log(1, "near limits.max_memory: new connections are refused, and established ones go on")


@pytest.mark.memory
def test_a_flood_of_connections_does_not_take_more_memory_than_the_limit(start, certificate):
    with ManyEcho() as echo:
        config = proxy(echo.address, certificate, tls={"record_layer": "openssl"}, log={"access": "off", "format": "json"})
        headgate = start(config)
        with connect(headgate.port()) as early:
            early.exchange(b"x")
            limit = headgate.rss_bytes() // MIB + 20
            config["limits"] = {"max_memory": f"{limit}MiB"}
            headgate.write_config(config)
            assert headgate.post("/reload")[0] == 200
            context = python_context()
            with contextlib.ExitStack() as held:
                for _ in range(5000):
                    try:
                        client = held.enter_context(python_tls(headgate.port(), context=context, source=FLOODER))
                        client.sendall(b"x")
                        client.recv(1)
                    except OSError:
                        break
                else:
                    raise AssertionError(f"5000 connections fit into {limit} MiB: {headgate.rss_bytes() / MIB} are used")
                assert headgate.rss_bytes() < limit * MIB
                early.exchange(b"still here")
            assert headgate.metric("headgate_connections_closed_total", reason="memory_limit") >= 1
