"""What an operator sees of live connections and past handshakes, and can change while it runs."""

import http.client
import json

import pytest

from harness.config import proxy
from harness.tls_client import TLS12, connect, handshake_alert, raw_socket, read_to_end
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
