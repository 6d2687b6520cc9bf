"""Connections that wait for a place at a server."""

from harness.backends import GoesAndComes, echo, greeting_then_echo, reset_on_close
from harness.config import proxy
from harness.servers import short_directory
from harness.tls_client import connect

ONE_PLACE = {"size": 5, "timeout": "25s"}


def bounded(address, certificate, most=1, queue=None, **settings):
    """The configuration of one server with `most` places and a queue."""
    server = {"address": address, "max_connections": most}
    return proxy([server], certificate, app={"queue": queue or ONE_PLACE, **settings})


def waits(headgate, count):
    headgate.wait_metric("headgate_backend_queued", count, backend="app")


def ended(headgate, result):
    return headgate.metric("headgate_backend_queue_total", backend="app", result=result)


def test_connections_wait_in_order_until_one_before_them_ends(start, backend, certificate):
    """Two workers: the order is that of all connections together."""
    one = backend(echo)
    headgate = start(bounded(one.address, certificate))
    clients = [connect(headgate.port())]
    clients[0].exchange(b"0")
    for number in (1, 2, 3):
        clients.append(connect(headgate.port()))
        clients[-1].send(b"%d" % number)
        waits(headgate, number)
    for number in (1, 2, 3):
        assert one.accepted == number, "no more connections at once than there are places"
        clients[number - 1].close()
        assert clients[number].recv_exactly(1) == b"%d" % number
    waits(headgate, 0)
    assert ended(headgate, "served") == 3
    clients[3].close()


def test_many_connections_share_few_places_and_all_are_served(start, backend, certificate):
    one = backend(greeting_then_echo(b"x"))
    headgate = start(bounded(one.address, certificate, most=3, queue={"size": 50, "timeout": "25s"}))
    clients = [connect(headgate.port()) for _ in range(3)]
    for client in clients:
        assert client.recv_exactly(1) == b"x"
    clients += [connect(headgate.port()) for _ in range(40)]
    waits(headgate, 40)
    for client in clients:
        assert one.open <= 3
        client.close()
    headgate.wait_metric("headgate_backend_queue_total", 40, backend="app", result="served")
    one.wait_open(0)


def test_a_connection_that_finds_the_queue_full_or_waits_too_long_is_told_so(start, backend, certificate):
    headgate = start(bounded(backend().address, certificate, queue={"size": 1, "timeout": "2s"}))
    with connect(headgate.port()) as first:
        first.exchange(b"x")
        with connect(headgate.port()) as waiting:
            waits(headgate, 1)
            with connect(headgate.port()) as too_many:
                assert too_many.wait_transport_end() == "end"
            assert waiting.wait_transport_end() == "end"
        first.exchange(b"still there")
    assert ended(headgate, "full") == 1 and ended(headgate, "timeout") == 1
    details = [line["detail"] for line in headgate.wait_log(2, message="connection ended", reason="no_backend")]
    assert details == ["queue_full", "queue_timeout"]


def test_the_queue_goes_on_over_a_reload(start, backend, certificate):
    """The new configuration has room for more: its connections do not wait for those of the old one."""
    config = bounded(backend().address, certificate)
    headgate = start(config)
    with connect(headgate.port()) as first, connect(headgate.port()) as waiting:
        first.exchange(b"x")
        waiting.send(b"w")
        waits(headgate, 1)
        config["backends"]["app"]["servers"][0]["max_connections"] = 2
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        with connect(headgate.port()) as fresh:
            fresh.exchange(b"f")
        first.close()
        assert waiting.recv_exactly(1) == b"w"


def test_a_connection_that_waits_is_served_by_the_old_process_after_an_upgrade(line, backend, certificate):
    running = line({**bounded(backend().address, certificate), "drain": {"deadline": "25s"}})
    port = running.headgate.port()
    with connect(port) as first, connect(port) as waiting:
        first.exchange(b"x")
        waiting.send(b"w")
        waits(running.headgate, 1)
        running.upgrade()
        first.exchange(b"moved")
        first.close()
        assert waiting.recv_exactly(1) == b"w"


def test_a_server_that_comes_up_serves_those_that_wait_for_a_place_at_another(start, backend, certificate):
    """Of two servers one is full, and the other one is down by its check until it comes."""
    check = {"type": "tcp", "interval": "50ms", "rise": 1, "fall": 1}
    away = GoesAndComes(backend, echo, short_directory() / "server.sock")
    servers = [{"address": one, "max_connections": 1} for one in (backend(echo).address, away.address)]
    headgate = start(proxy(servers, certificate, app={"queue": ONE_PLACE, "health_check": check}))
    headgate.wait_metric("headgate_backend_up", 0, server=away.address)
    with connect(headgate.port()) as first, connect(headgate.port()) as waiting:
        first.exchange(b"x")
        waiting.send(b"w")
        waits(headgate, 1)
        away.come()
        assert waiting.recv_exactly(1) == b"w"
        first.exchange(b"still there")


def test_connections_wait_for_a_full_server_beside_one_that_refuses(line, backend, certificate, refusing):
    """The second server has no health check that would take it away."""
    config = bounded(backend().address, certificate)
    config["backends"]["app"]["servers"].append(refusing)
    running = line({**config, "workers": 1, "drain": {"deadline": "25s"}})
    headgate = running.headgate
    for _ in range(3):  # at first; in a process whose server is ejected; in one that knows of none
        clients = [connect(headgate.port()) for _ in range(3)]
        clients[0].exchange(b"x")
        for client in clients[1:]:
            client.send(b"w")
        waits(headgate, 2)
        for before, client in zip(clients, clients[1:]):
            before.close()
            assert client.recv_exactly(1) == b"w"
        clients[-1].close()
        waits(headgate, 0)
        headgate.wait_metric("headgate_connections_active", 0)
        running.upgrade()


def test_a_server_that_resets_its_connections_frees_their_places(start, backend, certificate):
    def serve(connection):
        connection.sendall(b"g")
        connection.recv(1)
        reset_on_close(connection)

    headgate = start(bounded(backend(serve).address, certificate))
    clients = [connect(headgate.port()) for _ in range(3)]
    assert clients[0].recv_exactly(1) == b"g"
    waits(headgate, 2)
    for client in clients:
        client.send(b"x")
    for client in clients[1:]:
        assert client.recv_exactly(1) == b"g"
    for client in clients:
        client.close()
    waits(headgate, 0)
