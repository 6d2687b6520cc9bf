"""An operator sees live connections and past handshakes, and can change settings while Headgate runs."""

import contextlib
import http.client
import json
import re
import socket
import ssl
import time

import pytest
from OpenSSL import SSL

from harness.config import proxy
from harness.tls_client import (
    TLS12, TlsClient, connect, handshake_alert, python_tls, raw_socket, read_to_end,
)  # fmt: skip
from harness.tools import run, tool
from harness.waiting import wait_until


def connections(headgate, query=""):
    status, text = headgate.get("/connections.json" + query)
    assert status == 200, text
    return json.loads(text)


def handshakes(headgate):
    return json.loads(headgate.get("/handshakes.json")[1])


def test_a_live_connection_is_shown_with_what_it_is(echo_proxy):
    with connect(echo_proxy.port(), sni="app.test") as client:
        client.exchange(b"12345")
        (one,) = connections(echo_proxy)["connections"]
        assert one["source"] == "127.0.0.1:%d" % client.socket.getsockname()[1]
        assert (one["sni"], one["version"], one["phase"], one["backend"]) == ("app.test", "TLSv1.3", "relay", "app")
        assert (one["bytes_from_client"], one["bytes_to_client"]) == (5, 5)
    wait_until(lambda: connections(echo_proxy)["connections"] == [], "an ended connection is shown no more")


def test_connections_come_in_pages(echo_proxy):
    clients = [connect(echo_proxy.port()) for _ in range(5)]
    try:
        for client in clients:
            client.exchange(b"x")
        pages = [connections(echo_proxy, f"?offset={offset}&limit=2") for offset in (0, 2, 4)]
        assert [len(page["connections"]) for page in pages] == [2, 2, 1]
        assert all(page["total"] == 5 for page in pages)
        assert len({one["id"] for page in pages for one in page["connections"]}) == 5
    finally:
        for client in clients:
            client.close()


def test_a_page_is_capped_whoever_asks_for_how_much(echo_proxy):
    clients = [connect(echo_proxy.port()) for _ in range(103)]
    try:
        page = connections(echo_proxy)
        assert (page["total"], len(page["connections"])) == (103, 100)
        assert echo_proxy.get("/connections.json?limit=1001")[0] == 400
        assert len(connections(echo_proxy, "?limit=1000")["connections"]) == 103
    finally:
        for client in clients:
            client.close()


def test_connections_are_found_by_listener_backend_and_source(start, backend, certificate):
    config = proxy(backend().address, certificate)
    config["listeners"].append({**config["listeners"][0], "name": "other", "backend": "second"})
    config["backends"]["second"] = {"servers": [backend().address]}
    headgate = start(config)
    elsewhere = socket.create_connection(("127.0.0.1", headgate.port("other")), source_address=("127.0.0.3", 0))
    with connect(headgate.port()) as first, connect(headgate.port("other"), connected=elsewhere) as second:
        first.exchange(b"x")
        second.exchange(b"x")
        for query in ("?listener=other", "?backend=second", "?source=127.0.0.3", "?source=127.0.0.2/31"):
            (one,) = connections(headgate, query)["connections"]
            assert (one["listener"], one["backend"]) == ("other", "second"), query
        assert connections(headgate, "?source=127.0.0.0/8")["total"] == 2
        assert connections(headgate, "?listener=web&backend=second")["total"] == 0


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?offset=-1", "?nonsense=1", "?source=nowhere"])
def test_a_wrong_query_is_a_400_with_a_sentence(echo_proxy, query):
    status, text = echo_proxy.get("/connections.json" + query)
    assert status == 400 and json.loads(text)["error"]


def test_a_failed_handshake_is_kept_with_what_the_client_offered(echo_proxy):
    handshake_alert(echo_proxy.port(), sni="app.test", version=TLS12, ciphers="AES128-SHA", alpn=["h2"])
    failed = wait_until(lambda: handshakes(echo_proxy)["failed"], "the failed handshake is recorded")[0]
    assert failed["reason"] == "no_shared_cipher" and failed["sni"] == "app.test"
    assert failed["source"].startswith("127.0.0.1")
    assert failed["offered"]["ciphers"] and failed["offered"]["alpn"] == ["h2"]
    assert failed["ja4"].startswith("t12d")


def recorded(headgate, **fields):
    """The one failed handshake in the recorder with these fields."""

    def found():
        return [one for one in handshakes(headgate)["failed"] if fields.items() <= one.items()]

    (one,) = wait_until(found, lambda: json.dumps(handshakes(headgate)["failed"], indent=1))
    return one


def test_a_failed_handshake_is_kept_with_all_that_was_offered_and_the_alert(echo_proxy):
    client = run(
        tool("openssl"), "s_client", "-connect", echo_proxy.address(), "-servername", "app.test", "-tls1_2",
        "-groups", "P-521:P-384", "-sigalgs", "ECDSA+SHA384:RSA+SHA256", "-alpn", "h2,spdy/1",
        "-cipher", "ECDHE-RSA-AES128-SHA:AES256-SHA",
    )  # fmt: skip
    assert "handshake failure" in client.stderr, client
    failed = recorded(echo_proxy, reason="no_shared_cipher", sni="app.test")
    assert (failed["result"], failed["alert"], failed["listener"]) == ("failed", "handshake_failure", "web")
    offered = failed["offered"]
    assert offered["versions"] == []  # TLS 1.2 and before give their version in another field
    assert offered["groups"] == ["0x0019", "0x0018"]
    assert offered["signature_algorithms"] == ["0x0503", "0x0401"]
    assert offered["ciphers"][:2] == ["0xc013", "0x0035"]
    assert offered["alpn"] == ["h2", "spdy/1"]
    assert re.fullmatch(r"t12d\d{4}h2_[0-9a-f]{12}_[0-9a-f]{12}", failed["ja4"])
    assert failed["at"] and failed["total_seconds"] > 0


def test_a_clients_own_alert_is_kept_by_name_with_what_was_agreed(echo_proxy, authority):
    with pytest.raises(ssl.SSLError):
        python_tls(echo_proxy.port(), ca=authority.file, sni="not-covered.test")
    failed = recorded(echo_proxy, reason="peer_alert", sni="not-covered.test")
    assert failed["alert"] == "bad_certificate"
    assert failed["offered"]["versions"][:2] == ["0x0304", "0x0303"]
    assert failed["ja4"].startswith("t13d")


def test_handshakes_are_kept_however_they_failed(start, backend, certificate, authority):
    """A client that leaves half-way, one that stops sending, one that may not pass, plain HTTP, and bytes that are not TLS."""
    client_auth = {"mode": "required", "ca": str(authority.file), "allow": {"dns": ["nobody.test"]}}
    listener = {"timeouts": {"handshake": "1s"}}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": client_auth}, listener=listener))
    port = headgate.port()
    with TlsClient(port, sni="leaves.test") as client:
        client.socket.sendall(client.client_hello())
        client.receive()
    with TlsClient(port, sni="waits.test") as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        client.wait_transport_end()
    with contextlib.suppress(SSL.Error, OSError), connect(port, sni="other.test", certificate=authority.issue(client=True)) as one:
        one.recv()
    for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 100):
        with raw_socket(port) as plain:
            plain.sendall(garbage)
            read_to_end(plain)
    left = recorded(headgate, reason="client_left", sni="leaves.test")
    assert left["ja4"] and left["offered"]["groups"]
    waited = recorded(headgate, result="timeout", sni="waits.test")
    assert waited["peer_wait_seconds"] >= 0.9 and waited["ja4"]
    recorded(headgate, reason="client_certificate_not_allowed", sni="other.test")
    recorded(headgate, reason="plaintext_http")
    recorded(headgate, reason="not_tls")
    assert len(handshakes(headgate)["failed"]) == 5


def test_the_times_of_a_handshake_say_who_was_slow(echo_proxy):
    with TlsClient(echo_proxy.port(), sni="slow.test") as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        time.sleep(0.3)  # the client's own time
        client.handshake()
        client.exchange(b"x")
    with connect(echo_proxy.port(), sni="quick.test") as client:
        client.exchange(b"x")
    slowest = wait_until(lambda: len(handshakes(echo_proxy)["slowest"]) == 2 and handshakes(echo_proxy)["slowest"], "both are kept")
    assert [one["sni"] for one in slowest] == ["slow.test", "quick.test"]
    slow = slowest[0]
    assert slow["peer_wait_seconds"] >= 0.29 and 0 < slow["cpu_seconds"] < slow["peer_wait_seconds"]
    parts = slow["queue_seconds"] + slow["cpu_seconds"] + slow["peer_wait_seconds"]
    assert parts <= slow["total_seconds"] <= parts + 0.2


def test_the_slowest_handshakes_are_kept_with_their_phases(echo_proxy):
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
    slowest = wait_until(lambda: handshakes(echo_proxy)["slowest"], "the handshake is recorded")[0]
    assert slowest["version"] == "TLSv1.3" and slowest["total_seconds"] > 0


def test_the_log_level_may_be_changed_while_it_runs(echo_proxy):
    assert echo_proxy.post("/log?level=error")[0] == 200
    with raw_socket(echo_proxy.port()) as client:
        client.sendall(b"\xff" * 100)
        read_to_end(client)
    echo_proxy.wait_metric("headgate_handshake_failures_total", reason="not_tls")
    assert echo_proxy.post("/log?level=debug")[0] == 200
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
    echo_proxy.wait_log(level="info", reason="client_truncated")
    assert not echo_proxy.log_with(failure="not_tls")


def test_a_level_that_is_none_is_a_400(echo_proxy):
    assert echo_proxy.post("/log?level=loud")[0] == 400


def test_a_drained_listener_stops_and_the_others_go_on(start, backend, certificate):
    config = proxy(backend().address, certificate)
    config["listeners"].append({**config["listeners"][0], "name": "other"})
    headgate = start(config)
    status, text = headgate.post("/drain?listener=other")
    assert status == 200, text
    wait_until(lambda: refuses(headgate.port("other")), "the drained listener is closed")
    with connect(headgate.port("web")) as client:
        client.exchange(b"goes on")


def refuses(port):
    try:
        raw_socket(port).close()
        return False
    except ConnectionRefusedError:
        return True


def test_draining_a_listener_that_is_not_there_is_404(echo_proxy):
    assert echo_proxy.post("/drain?listener=nobody")[0] == 404


def test_post_drain_ends_the_process_like_sigterm(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, drain={"deadline": "300s"}))
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        assert headgate.post("/drain")[0] == 200
        wait_until(lambda: headgate.get("/readyz")[0] == 503, "/readyz turns 503")
        client.exchange(b"while draining")
        client.end_writing()
        client.recv_to_end()
    assert headgate.wait_exit() == 0


def test_a_page_of_another_site_cannot_change_anything(echo_proxy):
    connection = http.client.HTTPConnection(echo_proxy.admin_address, timeout=30)
    connection.request("POST", "/drain", headers={"Origin": "https://evil.test"})
    assert connection.getresponse().status == 403
    connection.close()
    assert echo_proxy.get("/readyz")[0] == 200


def test_the_status_page_fetches_nothing_from_elsewhere(echo_proxy):
    status, page = echo_proxy.get("/")
    assert status == 200 and "<html" in page
    assert "http://" not in page.replace("http://www.w3.org/", "") and "https://" not in page


def test_status_says_which_certificates_are_served(echo_proxy, certificate):
    (told,) = echo_proxy.status()["certificates"]
    assert told["file"] == str(certificate.certificate)
    assert "app.test" in told["names"] and told["days_left"] in (89, 90)
