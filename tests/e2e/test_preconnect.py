"""Spare connections: each worker has some ready before a client comes."""

import contextlib
import resource
import socket
import ssl
import threading
import time

import pytest

from harness.backends import GoesAndComes, echo, reset_on_close, saying
from harness.config import plain_proxy, proxy
from harness.servers import nginx, redis, short_directory
from harness.tls_client import connect, raw_socket
from harness.waiting import wait_until

CHECK = {"type": "tcp", "interval": "50ms", "rise": 1, "fall": 1}


class Numbered:
    """A behaviour: answers each chunk with the number of its connection, in the order in which they were accepted."""

    def __init__(self):
        self.heard = {}
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, connection):
        with self._lock:
            self.count += 1
            number = self.count
        while chunk := connection.recv(65536):
            self.heard.setdefault(number, bytearray()).extend(chunk)
            connection.sendall(b"%d\n" % number)


def number_of(client):
    client.send(b"x")
    answer = b""
    while not answer.endswith(b"\n"):
        answer += client.recv_exactly(1)
    return int(answer)


def spares(headgate, count, **labels):
    headgate.wait_metric("headgate_backend_spares", count, **labels)


def discarded(headgate, reason):
    return headgate.metric("headgate_backend_spares_discarded_total", reason=reason)


def used(headgate):
    return headgate.metric("headgate_backend_spares_used_total")


def test_a_client_gets_a_connection_that_was_there_before_it_came(start, backend, certificate):
    numbered = Numbered()
    server = backend(numbered)
    headgate = start(proxy(server.address, certificate, app={"preconnect": 3}))
    spares(headgate, 6)  # of two workers
    for served in range(1, 7):
        before = 5 + served
        wait_until(lambda: numbered.count == before, "the server has numbered the connections that wait")
        with connect(headgate.port()) as client:
            assert number_of(client) <= before
            assert used(headgate) == served
            spares(headgate, 6)
            wait_until(lambda: server.accepted == 6 + served, "one connection for each that was used")
    assert discarded(headgate, "ended") == 0


def test_a_client_is_served_by_a_spare_while_the_server_accepts_nobody(start, certificate):
    """Nobody is there to answer a connect; the spares wait in the queue of the kernel."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host, port = listening.getsockname()
        headgate = start(proxy(f"{host}:{port}", certificate, app={"preconnect": 1}, workers=1))
        spares(headgate, 1)
        accepted, _ = listening.accept()
        listening.close()
        with connect(headgate.port()) as client, accepted:
            client.send(b"question")
            assert accepted.recv(100) == b"question"
            accepted.sendall(b"answer")
            assert client.recv_exactly(6) == b"answer"


def read_line(connection):
    """Reads a line byte by byte, so that nothing behind it is taken."""
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(1)
    return line


@pytest.mark.parametrize("tls", [False, True])
def test_the_header_and_tls_begin_with_the_client(start, backend, authority, certificate, tls):
    """The server sees the client's own port in the header, and the name that it asked for."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(certificate.certificate), str(certificate.key))
    names, headers = [], []
    context.sni_callback = lambda _socket, name, _context: names.append(name)

    def wrap(connection):
        headers.append(read_line(connection).split())
        return context.wrap_socket(connection, server_side=True) if tls else connection

    app = {"preconnect": 1, "send_proxy": "v1"}
    if tls:
        app["tls"] = {"ca": str(authority.file), "server_name": "$sni"}
    server = backend(echo, wrap=wrap)
    headgate = start(proxy(server.address, certificate, app=app, workers=1))
    for served, name in enumerate(("app.test", "localhost"), 1):
        spares(headgate, 1)
        with connect(headgate.port(), sni=name) as client:
            client.exchange(b"x")
            assert headers[-1][4] == b"%d" % client.socket.getsockname()[1]
        assert used(headgate) == served
    assert names == (["app.test", "localhost"] if tls else [])


def test_round_robin_is_as_without_spares_and_each_client_finds_one(start, backend, certificate):
    servers = [backend(echo) for _ in range(3)]
    weighted = [{"address": servers[0].address, "weight": 2}, servers[1].address, servers[2].address]
    headgate = start(plain_proxy(weighted, app={"preconnect": 2}, workers=1))
    for served in range(1, 13):
        spares(headgate, 2)
        with socket.create_connection(("127.0.0.1", headgate.port())) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        assert used(headgate) == served
    wait_until(lambda: sum(server.accepted for server in servers) == 14, "12 clients and two spares")
    assert 6 <= servers[0].accepted <= 8


def test_a_server_that_ends_idle_connections_fails_no_client_and_draws_no_loop(start, backend):
    """It ends every other one in order, the others with a reset, when the test says so."""
    idle = []

    def serve(connection):
        idle.append(connection)
        echo(connection)

    def served():
        return [one for one in idle if one.fileno() >= 0]

    def end_all():
        for number, connection in enumerate(served()):
            if number % 2:
                reset_on_close(connection)
            connection.shutdown(socket.SHUT_RDWR)

    server = backend(serve)
    headgate = start(plain_proxy(server.address, app={"preconnect": 2}))
    began = time.monotonic()
    for ended in (4, 8):
        wait_until(lambda: len(served()) == 4, "all spares are served")
        end_all()
        headgate.wait_metric("headgate_backend_spares_discarded_total", ended, reason="ended")
        with raw_socket(headgate.port()) as client:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
    assert server.accepted <= 4 * (2 + time.monotonic() - began), "two workers replace two each after 1, 2, 4 ... seconds"
    assert headgate.metric("headgate_backend_connect_failures_total") == 0
    assert headgate.metric("headgate_backend_up") == 1


def test_a_server_that_greets_gets_no_more_spares_and_its_clients_get_the_greeting(start, backend, certificate):
    def greet(connection):
        connection.sendall(b"220 hello\r\n")
        echo(connection)

    server = backend(greet)
    config = proxy(server.address, certificate, app={"preconnect": 2})
    headgate = start(config)
    headgate.wait_metric("headgate_backend_spares_stopped", 2)
    headgate.wait_log(level="warn", server=server.address)
    server.wait_open(0)
    assert discarded(headgate, "spoke") == 4
    assert headgate.status()["backends"][0]["servers"][0]["speaks_first"] is True
    for _ in range(3):
        with connect(headgate.port()) as client:
            assert client.recv_exactly(11) == b"220 hello\r\n"
            client.exchange(b"x")
    server.wait_open(0)
    assert server.accepted == 7
    assert len([line for line in headgate.log if "speaks first" in line["message"]]) == 1
    assert headgate.post("/reload")[0] == 200
    del config["backends"]["app"]["preconnect"]
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    headgate.wait_metric("headgate_backend_spares_stopped", 0)
    assert server.accepted == 7


def test_a_server_that_refuses_with_a_word_is_tried_again(start, backend, certificate):
    server = backend(saying(b"-ERR max number of clients reached\r\n"))
    headgate = start(proxy(server.address, certificate, app={"preconnect": 1}, workers=1))
    wait_until(lambda: discarded(headgate, "spoke") >= 2, lambda: headgate.output)
    assert headgate.metric("headgate_backend_spares_stopped") == 0


def test_spares_follow_the_health_of_a_server_that_flaps(start, backend, certificate):
    server = GoesAndComes(backend, echo, short_directory() / "server.sock")
    headgate = start(proxy(server.address, certificate, app={"preconnect": 2, "health_check": CHECK}, workers=1))
    for _ in range(3):
        headgate.wait_metric("headgate_backend_up", 0)
        spares(headgate, 0)
        server.come()
        headgate.wait_metric("headgate_backend_up", 1)
        spares(headgate, 2)
        with connect(headgate.port()) as client:
            client.exchange(b"x")
        server.go()
    assert used(headgate) == 3


def test_a_server_that_goes_down_by_its_check_alone_loses_its_spares(start, backend, certificate):
    """It still accepts connections."""
    healthy = threading.Event()
    healthy.set()

    def serve(connection):
        if connection.recv(4) == b"PING":
            connection.sendall(b"PONG" if healthy.is_set() else b"BUSY")

    server = backend(serve)
    check = {**CHECK, "send": "PING", "expect": "PONG"}
    headgate = start(proxy(server.address, certificate, app={"preconnect": 2, "health_check": check}, workers=1))
    spares(headgate, 2)
    healthy.clear()
    headgate.wait_metric("headgate_backend_up", 0)
    spares(headgate, 0)
    assert discarded(headgate, "server_away") == 2
    healthy.set()
    headgate.wait_metric("headgate_backend_up", 1)
    spares(headgate, 2)


def test_spares_never_take_a_place_from_a_client(start, backend, certificate):
    """Two workers with spares at all places: every client is served, and no more connections are open than may be."""
    most = 0
    lock = threading.Lock()

    def counting(connection):
        nonlocal most
        with lock:
            most = max(most, server.open)
        echo(connection)

    server = backend(counting)
    servers = [{"address": server.address, "max_connections": 4}]
    headgate = start(proxy(servers, certificate, app={"preconnect": 4, "queue": {"timeout": "25s"}}))
    spares(headgate, 4)
    clients = []
    for _ in range(4):
        clients.append(connect(headgate.port()))
        clients[-1].exchange(b"x")
    with connect(headgate.port()) as one_too_many:
        assert one_too_many.wait_transport_end() == "end"
    assert headgate.wait_log(message="connection ended", reason="no_backend")[-1]["detail"] == "all_full"
    assert server.open == 4
    assert most <= 5, "the end of a spare may come to the server after the connection of the next client"
    for client in clients:
        client.close()
    spares(headgate, 4)


def test_clients_that_come_at_once_get_the_places_of_all_spares(start, backend):
    """A client was refused while the places of another worker's spares were free, but had not been taken yet."""
    backends = [f"app-{number}" for number in range(10)]
    servers = [{"address": backend(echo).address, "max_connections": 8}]
    config = plain_proxy(servers, app={"preconnect": 8, "queue": {"timeout": "25s"}})
    [listener], app = config["listeners"], config["backends"]["app"]
    config["listeners"] = [{**listener, "name": name, "backend": name} for name in backends]
    config["backends"] = {name: app for name in backends}
    headgate = start(config)
    spares(headgate, 80)
    for name in backends:
        clients = [socket.socket() for _ in range(8)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", headgate.port(name)))
        for client in clients:
            client.settimeout(20)
            client.sendall(b"x")
            assert client.recv(1) == b"x", headgate.output
        for client in clients:
            client.close()


def test_a_client_without_a_queue_is_told_that_every_server_is_full(start, backend):
    """While clients wait for the places of spares, another one was told that a queue is full, and counted so."""
    servers = [{"address": backend(echo).address, "max_connections": 2}]
    headgate = start(plain_proxy(servers, app={"preconnect": 2}))
    spares(headgate, 2)
    clients = []
    for _ in range(12):
        with contextlib.suppress(ConnectionError):
            clients.append(raw_socket(headgate.port()))
    ended = headgate.wait_log(count=10, message="connection ended", reason="no_backend")
    assert {line["detail"] for line in ended} == {"all_full"}
    assert headgate.metric("headgate_backend_queue_total", result="full") == 0
    for client in clients:
        client.close()


def test_a_reload_that_moves_the_only_listener_keeps_them(start, backend, certificate):
    server = backend(echo)
    config = proxy(server.address, certificate, app={"preconnect": 2}, workers=1)
    config["listeners"][0]["bind"] = "127.0.0.2:0"
    headgate = start(config)
    spares(headgate, 2)
    config["listeners"][0]["bind"] = "127.0.0.1:0"
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    with connect(headgate.port(index=1)) as client:
        client.exchange(b"by a spare")
    assert used(headgate) == 1
    assert discarded(headgate, "unwanted") == 0


def test_a_reload_keeps_or_remakes_them(start, backend, certificate):
    server, other = backend(Numbered()), backend(Numbered())
    config = proxy(server.address, certificate, app={"preconnect": 2}, workers=1)
    headgate = start(config)
    spares(headgate, 2)
    assert headgate.post("/reload")[0] == 200
    with connect(headgate.port()) as client:
        assert number_of(client) in (1, 2)
        spares(headgate, 2)
        wait_until(lambda: server.accepted == 3, "one connection for the client's")
        config["backends"]["app"]["servers"] = [other.address]
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        spares(headgate, 2, server=other.address)
        spares(headgate, 0, server=server.address)
        server.wait_open(1)
        number_of(client)
    assert discarded(headgate, "unwanted") == 2
    with connect(headgate.port()) as client:
        assert number_of(client) in (1, 2)
    del config["backends"]["app"]["preconnect"]
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    spares(headgate, 0)
    other.wait_open(0)


def test_a_worker_that_a_reload_retires_closes_its_spares(start, backend, certificate):
    server = backend(echo)
    config = proxy(server.address, certificate, app={"preconnect": 2})
    headgate = start(config)
    server.wait_open(4)
    config["workers"] = 1
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    server.wait_open(2)
    spares(headgate, 2)


def test_a_drain_closes_them(start, backend, certificate):
    server = backend(echo)
    headgate = start({**proxy(server.address, certificate, app={"preconnect": 2}), "drain": {"deadline": "25s"}})
    server.wait_open(4)
    with connect(headgate.port()) as client:
        client.exchange(b"x")
        server.wait_open(5)
        assert headgate.post("/drain")[0] == 200
        server.wait_open(1)
        client.exchange(b"still there")


def test_the_old_process_of_an_upgrade_closes_them_and_the_new_one_makes_its_own(line, backend, certificate):
    server = backend(Numbered())
    running = line({**proxy(server.address, certificate, app={"preconnect": 2}), "drain": {"deadline": "25s"}})
    port = running.headgate.port()
    server.wait_open(4)
    with connect(port) as client:
        assert number_of(client) <= 4
        server.wait_open(5)
        running.upgrade()
        number_of(client)
        wait_until(lambda: server.accepted == 9, lambda: f"{server.accepted} connections")
        server.wait_open(5)
        with connect(port) as fresh:
            assert 5 < number_of(fresh) <= 9
    server.wait_open(4)


def test_after_an_upgrade_that_fails_the_old_process_has_its_spares(line, backend, certificate):
    server = backend(echo)
    running = line(proxy(server.address, certificate, app={"preconnect": 2}, workers=1))
    server.wait_open(2)
    running.program.unlink()
    running.program.write_text("#!/bin/sh\nexit 1\n")
    running.program.chmod(0o755)
    running.fail()
    server.wait_open(2)
    with connect(running.headgate.port()) as client:
        client.exchange(b"x")
    assert used(running.headgate) == 1


def test_spares_go_first_when_descriptors_run_out(start, backend, certificate):
    limit = 120
    server = backend(echo)
    headgate = start(
        proxy(server.address, certificate, app={"preconnect": 40}, workers=1),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
    )
    spares(headgate, 40)
    clients = []
    for _ in range(45):
        clients.append(connect(headgate.port()))
        clients[-1].exchange(b"x")
    assert discarded(headgate, "descriptors") > 0
    assert headgate.metric("headgate_worker_accept_pauses_total") == 0
    assert headgate.metric("headgate_backend_connect_failures_total") == 0
    for client in clients:
        client.close()


def test_spares_leave_descriptors_to_health_checks_and_reloads(start, backend):
    """They took all: then each check failed, and took down a server that was well."""
    limit = 90
    server = backend(echo)
    headgate = start(
        plain_proxy(server.address, app={"preconnect": 500, "health_check": CHECK}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)),
    )
    wait_until(lambda: discarded(headgate, "descriptors") >= 2, lambda: headgate.output)
    told = "less than a quarter of the descriptors is left"
    wait_until(lambda: sum(told in line["message"] for line in headgate.log) == 2, lambda: headgate.output)
    before = server.accepted
    wait_until(lambda: server.accepted >= before + 10, "ten checks")
    assert headgate.descriptors() <= 0.75 * limit + 4
    assert headgate.metric("headgate_backend_up") == 1
    assert headgate.post("/reload")[0] == 200
    assert not headgate.log_with(message="server is down")


def test_real_servers_serve_clients_by_spares(start, certificate):
    """nginx over its unix socket, and Redis, which speak when spoken to."""
    with nginx(server='location / { return 200 "hello"; }') as web, redis() as cache:
        config = proxy(web.address, certificate, app={"preconnect": 2}, workers=1)
        config["listeners"].append({**config["listeners"][0], "name": "cache", "backend": "cache"})
        config["backends"]["cache"] = {"servers": [cache.address], "preconnect": 2}
        headgate = start(config)
        spares(headgate, 2, backend="app")
        spares(headgate, 2, backend="cache")
        for served in range(1, 6):
            with connect(headgate.port()) as client:
                client.send(b"GET / HTTP/1.0\r\n\r\n")
                assert client.recv_to_end().endswith(b"hello")
            with connect(headgate.port("cache")) as client:
                client.send(b"PING\r\n")
                assert client.recv_exactly(7) == b"+PONG\r\n"
            spares(headgate, 2, backend="app")
            spares(headgate, 2, backend="cache")
            assert used(headgate) == 2 * served


def test_the_status_tells_of_them(start, backend, certificate):
    server = backend(echo)
    headgate = start(proxy(server.address, certificate, app={"preconnect": 2}, workers=1))
    spares(headgate, 2)
    with connect(headgate.port()) as client:
        client.exchange(b"x")
    spares(headgate, 2)
    told = headgate.status()["backends"][0]["servers"][0]
    assert (told["spares"], told["spares_used"], told["speaks_first"]) == (2, 1, False)
