"""Running out of descriptors: Headgate pauses accepting, does not spin, and recovers."""

import resource
import time

import pytest
from OpenSSL import SSL

from harness.config import proxy
from harness.kernel import cpu_seconds
from harness.tls_client import TlsClient, connect
from harness.waiting import wait_until

LIMIT = 80


@pytest.fixture
def cramped(start, backend, certificate):
    """Headgate with few descriptors."""
    return start(
        proxy(backend().address, certificate, workers=1),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)),
    )


def crowd(port, count):
    """More clients than there are descriptors; each has sent its ClientHello."""
    clients = []
    for _ in range(count):
        client = TlsClient(port)
        client.socket.sendall(client.client_hello())
        clients.append(client)
    return clients


def serves(headgate):
    try:
        with connect(headgate.port()) as client:
            client.exchange(b"x")
            return True
    except (OSError, SSL.Error):
        return False


def test_it_serves_again_once_descriptors_are_free(cramped):
    clients = crowd(cramped.port(), 2 * LIMIT)
    wait_until(lambda: cramped.descriptors() >= LIMIT - 4, lambda: f"{cramped.descriptors()} descriptors")
    for client in clients:
        client.close()
    wait_until(lambda: serves(cramped), "it serves again")


def test_probes_are_answered_while_it_has_none(cramped):
    clients = crowd(cramped.port(), 2 * LIMIT)
    cramped.wait_log(message="out of file descriptors: accepting pauses; raise LimitNOFILE or lower limits.max_connections")
    for _ in range(5):
        assert cramped.get("/healthz")[0] == 200
        assert cramped.get("/readyz")[0] == 200
    for client in clients:
        client.close()


def test_no_server_goes_down_because_it_has_none(start, backend, certificate):
    """Each check failed with "Too many open files", and a server that was well got no clients."""
    check = {"type": "tcp", "interval": "50ms", "rise": 1, "fall": 1}
    server = backend()
    headgate = start(
        proxy(server.address, certificate, app={"health_check": check}, workers=1),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT)),
    )
    wait_until(lambda: server.accepted >= 1, "a first check")
    clients = crowd(headgate.port(), 2 * LIMIT)
    wait_until(lambda: headgate.metric("headgate_worker_accept_pauses_total") >= 10, "a second, in which many are due")
    assert headgate.metric("headgate_backend_up") == 1
    for client in clients:
        client.close()
    checked = server.accepted
    wait_until(lambda: server.accepted > checked, "the checks go on")
    assert not headgate.log_with(message="server is down")


def test_it_does_not_spin_while_it_has_none(cramped):
    clients = crowd(cramped.port(), 2 * LIMIT)
    wait_until(lambda: cramped.descriptors() >= LIMIT - 4, lambda: f"{cramped.descriptors()} descriptors")
    before = cpu_seconds(cramped.child.pid)
    time.sleep(1)
    assert cpu_seconds(cramped.child.pid) - before < 0.5
    for client in clients:
        client.close()
    wait_until(lambda: serves(cramped), "it serves again")


def test_no_descriptor_is_lost_by_a_thousand_connections(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    assert serves(headgate)
    headgate.wait_metric("headgate_connections_active", 0)
    before = headgate.descriptors()
    for number in range(1000):
        client = TlsClient(headgate.port())
        if number % 10 == 0:
            client.handshake().exchange(b"x")
        elif number % 2:
            client.socket.sendall(client.client_hello())
        client.close()
    wait_until(lambda: headgate.metric("headgate_connections_active") == 0, "all have ended")
    wait_until(lambda: headgate.descriptors() <= before + 2, lambda: f"{before} became {headgate.descriptors()}")


def test_the_kernels_table_of_descriptors_has_room_before_connections_come(start, backend, certificate):
    """A table that grows under load keeps the loop waiting."""
    headgate = start(proxy(backend().address, certificate, workers=1))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert headgate.room_for_descriptors() >= min(hard, 65536)
