"""Signals that end the process."""

import signal
import time

from harness.config import proxy
from harness.tls_client import connect, raw_socket
from harness.waiting import wait_until


def draining(start, backend, certificate, deadline):
    return start(proxy(backend().address, certificate, drain={"deadline": deadline}))


def test_sigterm_ends_an_idle_process_with_exit_code_0(echo_proxy):
    echo_proxy.signal(signal.SIGTERM)
    assert echo_proxy.wait_exit() == 0


def test_sigint_ends_it_at_once_with_exit_code_0(start, backend, certificate):
    headgate = draining(start, backend, certificate, "300s")
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        headgate.signal(signal.SIGINT)
        client.wait_transport_end()
        assert headgate.wait_exit() == 0


def test_sigterm_lets_connections_go_on_and_exits_when_they_have_ended(start, backend, certificate):
    headgate = draining(start, backend, certificate, "300s")
    with connect(headgate.port()) as client:
        client.exchange(b"before")
        headgate.signal(signal.SIGTERM)
        wait_not_ready(headgate)
        client.exchange(b"while draining")
        client.end_writing()
        client.recv_to_end()
    assert headgate.wait_exit() == 0


def refuses(port):
    try:
        raw_socket(port).close()
    except ConnectionRefusedError:
        return True
    return False


def wait_not_ready(headgate):
    wait_until(lambda: headgate.get("/readyz")[0] == 503, "/readyz turns 503")


def test_a_draining_process_says_why_it_is_not_ready(start, backend, certificate):
    headgate = draining(start, backend, certificate, "300s")
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        headgate.signal(signal.SIGTERM)
        wait_not_ready(headgate)
        assert "drain" in headgate.get("/readyz")[1]
        assert headgate.get("/healthz")[0] == 200
        assert headgate.metric("headgate_drain_connections_remaining") == 1


def test_a_draining_process_accepts_nobody(start, backend, certificate):
    headgate = draining(start, backend, certificate, "300s")
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        headgate.signal(signal.SIGTERM)
        wait_not_ready(headgate)

        # The sockets close after it has reported that it is not ready.
        wait_until(lambda: refuses(headgate.port()), "a new connection is refused")


def test_the_drain_deadline_cuts_what_is_left(start, backend, certificate):
    headgate = draining(start, backend, certificate, "500ms")
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        headgate.signal(signal.SIGTERM)
        client.wait_transport_end()
    assert headgate.wait_exit() == 0


def test_in_kubernetes_order_readiness_falls_first_and_accepting_stops_later(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, drain={"deadline": "300s", "accept_for": "5s"}))
    with connect(headgate.port()) as early:
        early.exchange(b"before")
        began = time.monotonic()
        headgate.signal(signal.SIGTERM)
        wait_not_ready(headgate)
        with connect(headgate.port()) as late:
            late.exchange(b"accepted although not ready")
            assert time.monotonic() - began < 5, "too slow a machine to see the order"
            drain = headgate.status()["drain"]
            assert drain["active"] and drain["accepting_until"] and "remaining" not in drain, drain
            assert headgate.metric("headgate_draining") == 1
            wait_until(lambda: refuses(headgate.port()), "a new connection is refused")
            assert time.monotonic() - began >= 5
            wait_until(lambda: headgate.status()["drain"].get("at_start") == 2, lambda: headgate.status()["drain"])
            for client in (early, late):
                client.exchange(b"while draining")
    assert headgate.wait_exit() == 0


def test_accepting_a_while_longer_holds_for_a_drain_by_http_and_a_signal_then_cuts(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, drain={"deadline": "300s", "accept_for": "300s"}))
    assert headgate.post("/drain")[0] == 200
    assert headgate.get("/readyz")[0] == 503
    assert headgate.post("/reload")[0] == 409
    with connect(headgate.port()) as client:
        client.exchange(b"accepted although not ready")
        headgate.signal(signal.SIGTERM)
        client.wait_transport_end()
    assert headgate.wait_exit() == 0


def test_an_idle_process_ends_once_it_has_accepted_long_enough(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, drain={"deadline": "300s", "accept_for": "1s"}))
    began = time.monotonic()
    headgate.signal(signal.SIGTERM)
    assert headgate.wait_exit() == 0
    assert time.monotonic() - began >= 1


def test_a_second_sigterm_cuts(start, backend, certificate):
    headgate = draining(start, backend, certificate, "300s")
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        headgate.signal(signal.SIGTERM)
        wait_not_ready(headgate)
        headgate.signal(signal.SIGTERM)
        client.wait_transport_end()
        assert headgate.wait_exit() == 0


def test_sigpipe_and_the_other_harmless_signals_do_not_end_it(echo_proxy):
    for number in (signal.SIGPIPE, signal.SIGWINCH, signal.SIGCHLD):
        echo_proxy.signal(number)
    with connect(echo_proxy.port()) as client:
        client.exchange(b"alive")


def test_an_end_by_signal_is_said_in_the_log(echo_proxy):
    echo_proxy.signal(signal.SIGTERM)
    echo_proxy.wait_exit()
    assert [line for line in echo_proxy.log if "drain" in line["message"] or "SIGTERM" in line["message"]]


def test_sigquit_writes_the_state_and_the_process_goes_on(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=2))
    assert headgate.post("/log?level=error")[0] == 200
    clients = [connect(headgate.port()) for _ in range(5)]
    for client in clients:
        client.exchange(b"x")
    headgate.signal(signal.SIGQUIT)
    (listener,) = headgate.wait_log(message="state of a listener")
    assert (listener["listener"], listener["accepted"], listener["active"]) == ("web", 5, 5)
    workers = headgate.log_with(message="state of a worker")
    assert sum(worker["connections"] for worker in workers) == 5
    assert any("relay" in worker["phases"] for worker in workers)
    (process,) = headgate.log_with(message="state of the process")
    assert process["draining"] == "false" and process["certificates"] == 1
    for client in clients:
        client.exchange(b"goes on")
        client.close()
