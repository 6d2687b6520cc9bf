"""Servers that go and come back: their checks, and the share of the connections that they get then."""

import os
import ssl

from harness.backends import GoesAndComes, echo, greeting_then_echo, reset_on_close, silent
from harness.config import plain_proxy, proxy
from harness.servers import short_directory
from harness.tls_client import connect
from harness.waiting import wait_until

CHECK = {"type": "tcp", "interval": "50ms", "rise": 1, "fall": 1}


def named(port):
    """The one-letter name that the chosen server sends."""
    with connect(port) as client:
        return client.recv_exactly(1).decode()


def warming(backend, certificate):
    """The configuration of a steady server and of one that comes and goes, with an hour of slow start."""
    server = GoesAndComes(backend, greeting_then_echo(b"w"), short_directory() / "server.sock")
    steady = backend(greeting_then_echo(b"s")).address
    settings = {"health_check": CHECK, "slow_start": "1h"}
    return server, proxy([steady, server.address], certificate, app=settings, workers=1)


def share(headgate, server):
    return headgate.metric("headgate_backend_share_ratio", server=server.address)


def test_a_server_that_comes_back_gets_a_tenth_of_its_share_at_first_also_after_a_reload(start, backend, certificate):
    server, config = warming(backend, certificate)
    headgate = start(config)
    headgate.wait_metric("headgate_backend_up", 0, server=server.address)
    assert share(headgate, server) == 1, "it has not come back yet"
    server.come()
    headgate.wait_metric("headgate_backend_up", 1, server=server.address)
    wait_until(lambda: 0.1 <= share(headgate, server) < 0.2, lambda: headgate.get("/metrics")[1])
    assert [named(headgate.port()) for _ in range(22)].count("w") in (2, 3)
    assert headgate.post("/reload")[0] == 200
    assert 0.1 <= share(headgate, server) < 0.2
    assert [named(headgate.port()) for _ in range(22)].count("w") in (2, 3)
    told = {one["address"]: one["share"] for one in headgate.status()["backends"][0]["servers"]}
    assert 0.1 <= told[server.address] < 0.2


def test_a_server_that_flaps_begins_its_slow_start_anew(start, backend, certificate):
    server, config = warming(backend, certificate)
    config["backends"]["app"]["slow_start"] = "50ms"
    headgate = start(config)
    for _ in range(3):
        headgate.wait_metric("headgate_backend_up", 0, server=server.address)
        assert named(headgate.port()) == "s"
        server.come()
        headgate.wait_metric("headgate_backend_up", 1, server=server.address)
        wait_until(lambda: share(headgate, server) == 1, "its whole share once the slow start is over")
        assert sorted(named(headgate.port()) for _ in range(4)) == ["s", "s", "w", "w"]
        server.go()


def test_a_slow_start_goes_on_in_the_process_after_an_upgrade(line, backend, certificate):
    server, config = warming(backend, certificate)
    running = line(config)
    headgate = running.headgate
    headgate.wait_metric("headgate_backend_up", 0, server=server.address)
    server.come()
    wait_until(lambda: share(headgate, server) < 0.2, "it has come back")
    running.upgrade()
    wait_until(lambda: share(headgate, server) < 0.2, "the new process knows that it has come back")
    assert [named(headgate.port()) for _ in range(22)].count("w") in (2, 3)


class Redis:
    """Answers PING as a test tells it to; `heard` has what it was asked last."""

    def __init__(self):
        self.answer = self.pong
        self.heard = b""

    def __call__(self, connection):
        self.heard = connection.recv(100)
        self.answer(connection)

    @staticmethod
    def pong(connection):
        connection.sendall(b"+PONG\r\n")
        echo(connection)

    @staticmethod
    def loading(connection):
        connection.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")

    @staticmethod
    def garbage(connection):
        connection.sendall(os.urandom(64))
        silent(connection)

    @staticmethod
    def half_an_answer_then_reset(connection):
        connection.sendall(b"+PO")
        reset_on_close(connection)

    @staticmethod
    def goodbye(connection):
        pass


PING = {"send": "PING\r\n", "expect": "+PONG", "interval": "50ms", "timeout": "20s", "rise": 1, "fall": 1}


def test_a_server_is_up_as_long_as_it_answers_its_check_as_expected(start, backend):
    redis = Redis()
    headgate = start(plain_proxy(backend(redis).address, app={"health_check": PING}))
    wrong = [redis.loading, redis.garbage, redis.half_an_answer_then_reset, redis.goodbye]
    for count, redis.answer in enumerate(wrong, 1):
        why = headgate.wait_log(count, message="server is down")[-1]["why"]
        assert why, "the log says why"
        headgate.wait_metric("headgate_backend_up", 0)
        redis.answer = redis.pong
        headgate.wait_log(count, message="server is up")
        headgate.wait_metric("headgate_backend_up", 1)
    whys = [line["why"] for line in headgate.log_with(message="server is down")]
    assert whys[0] == 'the server answers "-LOAD", not "+PONG"'
    assert whys[3] == "the server ended before its answer was whole"
    assert redis.heard == b"PING\r\n"


def test_a_server_that_answers_its_check_with_silence_is_down(start, backend):
    redis = Redis()
    headgate = start(plain_proxy(backend(redis).address, app={"health_check": {**PING, "timeout": "300ms"}}))
    redis.answer = silent
    assert headgate.wait_log(message="server is down")[0]["why"] == "no answer in time"
    redis.answer = redis.pong
    headgate.wait_log(message="server is up")


def test_what_a_check_says_and_expects_changes_with_a_reload(start, backend):
    redis = Redis()
    config = plain_proxy(backend(redis).address, app={"health_check": PING})
    headgate = start(config)
    wait_until(lambda: redis.heard == b"PING\r\n", "the first check")
    config["backends"]["app"]["health_check"] = {**PING, "send": "hex:504900ff0d0a", "expect": "-ERR"}
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    assert headgate.wait_log(message="server is down")[0]["why"] == 'the server answers "+PON", not "-ERR"'
    assert redis.heard == b"PI\x00\xff\r\n"


def test_checks_go_on_in_the_process_after_an_upgrade(line, backend):
    redis = Redis()
    running = line(plain_proxy(backend(redis).address, app={"health_check": PING}))
    running.upgrade()
    redis.answer = redis.loading
    running.wait_log(1, "server is down")
    wait_until(lambda: running.headgate.metric("headgate_backend_up") == 0, "it is down")
    redis.answer = redis.pong
    running.wait_log(1, "server is up")


def test_a_check_says_its_words_inside_tls(start, backend, certificate, authority):
    def wrap(connection):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        return context.wrap_socket(connection, server_side=True)

    redis = Redis()
    one = backend(redis, wrap=wrap)
    tls = {"ca": str(authority.file), "server_name": "localhost"}
    headgate = start(plain_proxy(one.address, app={"tls": tls, "health_check": {**PING, "type": "tls"}}))
    wait_until(lambda: redis.heard == b"PING\r\n", "the first check")
    assert headgate.metric("headgate_backend_up") == 1
    redis.answer = redis.loading
    assert "-LOAD" in headgate.wait_log(message="server is down")[0]["why"]
    redis.answer = redis.pong
    headgate.wait_log(message="server is up")
