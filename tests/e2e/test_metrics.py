"""Each metric of the contract moves as it should, and the page is what Prometheus reads."""

import re
import signal
import socket
import time

import pytest

from harness.backends import greeting_then_echo, known_stream
from harness.config import proxy
from harness.kernel import unread_bytes
from harness.tls_client import TLS12, TLS13, TlsClient, connect, handshake_alert, python_context, python_tls, raw_socket
from harness.tools import run, tool
from harness.waiting import wait_until


def end_in_order(headgate, data=b"x", **options):
    with connect(headgate.port(), **options) as client:
        client.exchange(data)
        client.end_writing()
        client.recv_to_end()
    headgate.wait_metric("headgate_connections_active", 0)


def test_promtool_finds_nothing_wrong_after_all_kinds_of_traffic(start, backend, certificate, refusing):
    config = proxy(backend().address, certificate)
    config["listeners"].append({**config["listeners"][0], "name": "down", "backend": "down"})
    config["backends"]["down"] = {"servers": [refusing]}
    headgate = start(config)
    end_in_order(headgate)
    end_in_order(headgate, version=TLS12)
    handshake_alert(headgate.port(), version=TLS12, ciphers="AES128-SHA")
    with connect(headgate.port("down")) as client:
        client.wait_transport_end()
    told = run(tool("promtool"), "check", "metrics", stdin=headgate.metrics().text)
    assert told.returncode == 0 and not told.stderr.strip(), told


def test_the_page_has_a_type_for_every_metric_of_the_contract(echo_proxy):
    end_in_order(echo_proxy)
    handshake_alert(echo_proxy.port(), version=TLS12, ciphers="AES128-SHA")
    echo_proxy.wait_metric("headgate_handshakes_total", result="failed")  # the client gets the alert before that
    types = echo_proxy.metrics().types
    for name, kind in {
        "headgate_connections_accepted_total": "counter",
        "headgate_connections_active": "gauge",
        "headgate_connections_closed_total": "counter",
        "headgate_connection_duration_seconds": "histogram",
        "headgate_bytes_total": "counter",
        "headgate_handshakes_total": "counter",
        "headgate_handshake_failures_total": "counter",
        "headgate_handshake_duration_seconds": "histogram",
        "headgate_handshakes_negotiated_total": "counter",
        "headgate_handshakes_in_progress": "gauge",
        "headgate_handshakes_queued": "gauge",
        "headgate_sessions_tickets_total": "counter",
        "headgate_certificate_not_after_timestamp_seconds": "gauge",
        "headgate_certificate_not_before_timestamp_seconds": "gauge",
        "headgate_reload_last_success_timestamp_seconds": "gauge",
        "headgate_config_hash": "gauge",
        "headgate_backend_connections_active": "gauge",
        "headgate_backend_connect_duration_seconds": "histogram",
        "headgate_backend_up": "gauge",
        "headgate_record_layer_connections_total": "counter",
        "headgate_worker_loop_lag_seconds": "histogram",
        "headgate_worker_busy_ratio": "gauge",
        "headgate_drain_connections_remaining": "gauge",
        "headgate_build_info": "gauge",
        "process_cpu_seconds_total": "counter",
        "process_resident_memory_bytes": "gauge",
        "process_open_fds": "gauge",
        "process_max_fds": "gauge",
        "process_start_time_seconds": "gauge",
    }.items():
        assert types.get(name) == kind, name


def test_connections_are_counted_from_accept_to_close(echo_proxy):
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
        assert echo_proxy.metric("headgate_connections_accepted_total", listener="web") == 1
        assert echo_proxy.metric("headgate_connections_active", listener="web") == 1
        assert echo_proxy.metric("headgate_connections_closed_total") == 0
        client.end_writing()
        client.recv_to_end()
    echo_proxy.wait_metric("headgate_connections_active", 0, listener="web")
    assert echo_proxy.metric("headgate_connections_closed_total", listener="web", reason="finished", side="none") == 1
    assert echo_proxy.metric("headgate_connection_duration_seconds_count", listener="web") == 1


def test_the_duration_of_a_connection_is_its_life(echo_proxy):
    with connect(echo_proxy.port()) as client:
        client.exchange(b"x")
        time.sleep(0.3)
    echo_proxy.wait_metric("headgate_connections_active", 0)
    assert 0.3 <= echo_proxy.metric("headgate_connection_duration_seconds_sum") < 10


def test_bytes_are_plaintext_bytes_of_each_direction(start, backend, certificate):
    headgate = start(proxy(backend(greeting_then_echo(b"hello")).address, certificate))
    with connect(headgate.port()) as client:
        client.recv_exactly(5)
        client.exchange(b"".join(known_stream(100_000)))
    headgate.wait_metric("headgate_connections_active", 0)
    assert headgate.metric("headgate_bytes_total", listener="web", direction="from_client") == 100_000
    assert headgate.metric("headgate_bytes_total", listener="web", direction="to_client") == 100_005


def test_a_good_handshake_is_counted_with_what_was_negotiated(echo_proxy):
    end_in_order(echo_proxy, version=TLS13)
    metrics = echo_proxy.metrics()
    assert metrics.value("headgate_handshakes_total", listener="web", result="ok", resumed="no") == 1
    (negotiated,) = metrics.matching("headgate_handshakes_negotiated_total")
    assert negotiated.labels["version"] == "TLSv1.3"
    assert negotiated.labels["cipher"] == "TLS_AES_256_GCM_SHA384"
    assert "25519" in negotiated.labels["group"]
    assert negotiated.labels["key_type"]


def test_the_phases_of_a_handshake_add_up_to_its_total(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        time.sleep(0.2)  # the peer's own time
        client.handshake()
        client.exchange(b"x")
    metrics = echo_proxy.metrics()
    name = "headgate_handshake_duration_seconds"
    phases = {phase: metrics.value(f"{name}_sum", phase=phase) for phase in ("total", "queue", "cpu", "peer_wait")}
    assert {phase: metrics.value(f"{name}_count", phase=phase) for phase in phases} == dict.fromkeys(phases, 1)
    assert phases["peer_wait"] >= 0.19
    assert 0 < phases["cpu"] < 0.1
    assert phases["total"] == pytest.approx(phases["queue"] + phases["cpu"] + phases["peer_wait"], abs=0.05)


def test_handshakes_in_progress_are_those_begun_and_not_ended(echo_proxy):
    with TlsClient(echo_proxy.port()) as client:
        client.socket.sendall(client.client_hello())
        client.receive()
        echo_proxy.wait_metric("headgate_handshakes_in_progress", 1)
    echo_proxy.wait_metric("headgate_handshakes_in_progress", 0)


def test_a_failed_handshake_is_counted_once_with_reason_and_alert(echo_proxy):
    handshake_alert(echo_proxy.port(), version=TLS12, ciphers="AES128-SHA")
    echo_proxy.wait_metric("headgate_handshakes_total", 1, result="failed")
    metrics = echo_proxy.metrics()
    (failure,) = [s for s in metrics.matching("headgate_handshake_failures_total") if s.value]
    assert failure.labels["reason"] == "no_shared_cipher" and failure.labels["alert"] == "handshake_failure"
    assert metrics.value("headgate_handshakes_total", result="ok") == 0


def test_a_probe_is_a_handshake_result_of_its_own(echo_proxy):
    """With TCP_DEFER_ACCEPT the kernel does not report a client that leaves at once without a byte, so this client waits."""
    with raw_socket(echo_proxy.port()) as client:
        client.shutdown(socket.SHUT_WR)
        client.settimeout(10)
        try:
            client.recv(1)
        except (TimeoutError, ConnectionResetError):
            pass
    assert echo_proxy.metric("headgate_handshakes_total", result="failed") == 0
    assert echo_proxy.metric("headgate_handshake_failures_total") == 0
    assert echo_proxy.metric("headgate_handshakes_total", result="probe") == echo_proxy.metric(
        "headgate_connections_closed_total", reason="probe"
    )


def test_tickets_issued_and_resumed_are_counted(echo_proxy):
    context = python_context()
    with python_tls(echo_proxy.port(), context=context) as first:
        first.sendall(b"x")
        first.recv(1)
        session = first.session
    with python_tls(echo_proxy.port(), context=context, session=session) as second:
        second.sendall(b"x")
        second.recv(1)
        assert second.session_reused
    echo_proxy.wait_metric("headgate_sessions_tickets_total", 1, event="resumed", listener="web")
    assert echo_proxy.metric("headgate_sessions_tickets_total", event="issued") >= 1
    assert echo_proxy.metric("headgate_handshakes_total", result="ok", resumed="yes") == 1
    assert echo_proxy.metric("headgate_handshake_duration_seconds_count", phase="total", resumed="yes") == 1


def test_certificates_show_their_validity(echo_proxy, certificate):
    metrics = echo_proxy.metrics()
    for edge in ("after", "before"):
        samples = metrics.matching(f"headgate_certificate_not_{edge}_timestamp_seconds")
        assert str(certificate.certificate) in {sample.labels["certificate"] for sample in samples}
        moment = getattr(certificate.x509, f"not_valid_{edge}")
        assert {sample.value for sample in samples} == {(moment - type(moment)(1970, 1, 1)).total_seconds()}


def test_a_backend_connection_is_counted_with_its_server(start, backend, certificate):
    one = backend()
    headgate = start(proxy(one.address, certificate))
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        labels = {"backend": "app", "server": one.address}
        assert headgate.metric("headgate_backend_connections_active", **labels) == 1
        assert headgate.metric("headgate_backend_up", **labels) == 1
        assert headgate.metric("headgate_backend_connect_duration_seconds_count", **labels) == 1
    headgate.wait_metric("headgate_backend_connections_active", 0, **labels)


def test_a_refused_backend_connection_is_counted_with_its_reason(start, certificate, refusing):
    headgate = start(proxy(refusing, certificate, app={"connect_attempts": 1}))
    with connect(headgate.port()) as client:
        client.wait_transport_end()
    headgate.wait_metric("headgate_backend_connect_failures_total", 1, backend="app", server=refusing, reason="refused")


def test_build_info_names_version_and_openssl(echo_proxy):
    (info,) = echo_proxy.metrics().matching("headgate_build_info")
    assert info.value == 1 and info.labels["version"] and re.match(r"OpenSSL 3\.|AWS-LC ", info.labels["openssl"])


def test_the_process_metrics_are_the_processs(echo_proxy):
    metrics = echo_proxy.metrics()
    assert metrics.value("process_resident_memory_bytes") == pytest.approx(echo_proxy.rss_bytes(), rel=0.2)
    assert metrics.value("process_open_fds") == pytest.approx(echo_proxy.descriptors(), abs=5)
    assert abs(metrics.value("process_start_time_seconds") - time.time()) < 60


def test_histograms_are_cumulative_and_end_in_infinity(echo_proxy):
    end_in_order(echo_proxy)
    metrics = echo_proxy.metrics()
    for name in (name for name, kind in metrics.types.items() if kind == "histogram"):
        series = {}
        for sample in metrics.matching(f"{name}_bucket"):
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            series.setdefault(key, []).append((float(sample.labels["le"]), sample.value))
        for key, buckets in series.items():
            assert buckets == sorted(buckets), name
            assert buckets[-1][0] == float("inf")
            assert buckets[-1][1] == metrics.value(f"{name}_count", **dict(key))


def test_the_loop_lag_of_every_worker_is_shown(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=2))
    end_in_order(headgate)
    workers = {s.labels["worker"] for s in headgate.metrics().matching("headgate_worker_loop_lag_seconds_count")}
    assert len(workers) == 2


def test_a_loop_that_was_held_up_says_by_how_much(start, backend, certificate):
    """A signal stops the process, as if the machine gave it no CPU."""
    headgate = start(proxy(backend().address, certificate, workers=1))
    before = headgate.metrics()
    late = "headgate_worker_loop_lag_seconds_bucket"
    headgate.signal(signal.SIGSTOP)
    time.sleep(1.5)
    headgate.signal(signal.SIGCONT)

    def many_late():
        now = headgate.metrics()
        grown = now.value("headgate_worker_loop_lag_seconds_sum") - before.value("headgate_worker_loop_lag_seconds_sum")
        over = now.value("headgate_worker_loop_lag_seconds_count") - now.value(late, le="0.1")
        return grown > 0.4 and over > 0

    wait_until(many_late, lambda: headgate.metrics().text)


def test_a_busy_worker_shows_it_and_an_idle_one_does_not(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=1))
    wait_until(lambda: headgate.metric("headgate_worker_busy_ratio", worker="0") < 0.05, "idle")
    before = headgate.metric("headgate_worker_busy_seconds_total", worker="0")

    def works():
        for _ in range(50):
            connect(headgate.port()).close()
        return headgate.metric("headgate_worker_busy_ratio", worker="0") > 0.01

    wait_until(works, "the ratio rises")
    assert headgate.metric("headgate_worker_busy_ratio", worker="0") <= 1
    assert headgate.status()["workers"][0]["busy_ratio"] <= 1
    assert headgate.metric("headgate_worker_busy_seconds_total", worker="0") - before > 0.01


def test_the_counters_never_fall_while_connections_come_and_go(echo_proxy):
    before = counters(echo_proxy)
    for _ in range(20):
        end_in_order(echo_proxy)
        now = counters(echo_proxy)
        assert all(now[key] >= value for key, value in before.items())
        before = now


def counters(headgate):
    metrics = headgate.metrics()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for sample in metrics.samples
        if metrics.types.get(sample.name) == "counter"
    }


def test_a_scrape_under_traffic_is_whole(echo_proxy):
    port = echo_proxy.port()
    clients = [connect(port) for _ in range(20)]
    try:
        for client in clients:
            client.send(b"x" * 1000)
        for _ in range(20):
            assert echo_proxy.metrics().value("headgate_connections_active") == 20
        wait_until(lambda: unread_bytes(port) == 0, "all was read")
    finally:
        for client in clients:
            client.close()
