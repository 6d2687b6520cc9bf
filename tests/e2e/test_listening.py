"""Where Headgate listens, and where it refuses to."""

import errno
import socket

import pytest

from harness.config import proxy
from harness.headgate import Headgate
from harness.refused_calls import can_refuse_calls, refuse_call
from harness.servers import short_directory
from harness.tls_client import connect
from harness.waiting import DEADLINE_SECONDS, wait_until

ipv6_can_be_taken = pytest.mark.skipif(not can_refuse_calls, reason="the system call's number is not known")


def _without_ipv6():
    refuse_call("socket", errno.EAFNOSUPPORT, socket.AF_INET6)


@ipv6_can_be_taken
def test_every_address_is_every_ipv4_address_where_there_is_no_ipv6(start, backend, certificate):
    headgate = start(
        proxy(backend().address, certificate, listener={"bind": ":0"}, workers=2), preexec_fn=_without_ipv6
    )
    assert headgate.address().startswith("0.0.0.0:")
    with connect(headgate.port()) as client:
        client.exchange(b"over IPv4")
    assert headgate.post("/reload")[0] == 200
    with connect(headgate.port()) as client:
        client.exchange(b"after a reload")


@ipv6_can_be_taken
def test_an_ipv6_address_is_refused_with_advice_where_there_is_no_ipv6(tmp_path, certificate):
    config = proxy("127.0.0.1:9", certificate, listener={"bind": "[::1]:0"})
    headgate = Headgate(tmp_path, config, preexec_fn=_without_ipv6)
    assert headgate.wait_exit() == 3
    assert "this system has no IPv6: bind an IPv4 address" in headgate.output
    headgate.child.stdout.close()
    headgate.child.stderr.close()


@pytest.mark.parametrize("bind", ["127.0.0.1", ""], ids=["one-address", "every-address"])
def test_a_second_process_does_not_share_the_port_of_the_first(start, backend, certificate, tmp_path, bind):
    address = backend().address
    first = start(proxy(address, certificate, listener={"bind": f"{bind}:0"}))
    config = proxy(address, certificate, listener={"bind": f"{bind}:{first.port()}"}, admin={"bind": "off"})
    second = Headgate(tmp_path, config)
    assert second.wait_exit() == 3
    assert "another process listens there" in second.output
    second.child.stdout.close()
    second.child.stderr.close()


def test_a_reload_does_not_share_the_port_of_another_process(start, backend, certificate):
    one = backend()
    port = start(proxy(one.address, certificate)).port()
    config = proxy(one.address, certificate)
    second = start(config)
    config["listeners"][0]["bind"] = [second.address(), f"127.0.0.1:{port}"]
    second.write_config(config)
    status, answer = second.post("/reload")
    assert status != 200 and "another process listens there" in answer
    with connect(second.port()) as client:
        client.exchange(b"as before")


@pytest.fixture
def held_port():
    """A port that nobody else gets on any address meanwhile. Headgate may listen there: this socket does not."""
    both = socket.has_dualstack_ipv6()
    with socket.socket(socket.AF_INET6 if both else socket.AF_INET) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if both:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        holder.bind(("", 0))
        yield holder.getsockname()[1]


def test_a_listener_may_change_its_address_on_the_same_port(start, backend, certificate, held_port):
    """The old socket is still open when the new one is bound."""
    port = held_port
    config = proxy(backend().address, certificate, listener={"bind": f"127.0.0.1:{port}"})
    headgate = start(config)
    for name, bind in (("other", f":{port}"), ("web", f"127.0.0.1:{port}")):
        config["listeners"][0].update(name=name, bind=bind)
        headgate.write_config(config)
        status, answer = headgate.post("/reload")
        assert status == 200, answer
        assert takes("127.0.0.1", port)


@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_no_client_is_lost_when_a_listener_changes_its_name(line, backend, certificate, held_port, tmp_path, family):
    """Each client's ClientHello comes after a reload that gave the listener another name, or after an upgrade."""
    path = short_directory() / "web.sock"
    bind = {"tcp": f"127.0.0.1:{held_port}", "unix": f"unix:{path}"}[family]
    config = proxy(backend().address, certificate, listener={"bind": bind})

    def newcomer():
        waiting = socket.socket(socket.AF_INET if family == "tcp" else socket.AF_UNIX)
        waiting.settimeout(DEADLINE_SECONDS)
        waiting.connect(("127.0.0.1", held_port) if family == "tcp" else str(path))
        return waiting

    def is_served(connected):
        with connect(held_port, connected=connected) as client:
            client.exchange(b"still there")

    running = line(config)
    for number in range(20):
        clients = [newcomer() for _ in range(10)]
        config["listeners"][0]["name"] = f"name-{number}"
        if family == "unix":
            mode = 0o666 if number % 2 else 0o660
            config["listeners"][0]["bind"] = {"address": bind, "mode": f"0{mode:o}"}
        running.headgate.write_config(config)
        if number == 10:
            running.upgrade()
        else:
            code, answer = running.headgate.post("/reload")
            assert code == 200, answer
        for client in clients:
            is_served(client)
        assert family == "tcp" or path.stat().st_mode & 0o777 == mode


# --- IPv6 alone


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
        return True
    except OSError:
        return False


with_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this system has no IPv6")


def takes(host, port):
    """Whether a client that connects to this address is served. A socket that a reload closes resets its waiting clients."""
    try:
        connected = socket.create_connection((host, port), timeout=DEADLINE_SECONDS)
        with connect(port, connected=connected) as client:
            client.exchange(b"x")
    except ConnectionRefusedError:
        return False
    except ConnectionResetError:
        return takes(host, port)
    return True


def ipv6_listener(port, only):
    return {"bind": {"address": f"[::]:{port}", "ipv6_only": only}}


@with_ipv6
def test_an_ipv6_bind_takes_no_ipv4_where_that_is_asked_after_a_reload_and_an_upgrade_too(
    line, backend, certificate, held_port
):
    address, port = backend().address, held_port
    running = line(proxy(address, certificate, listener=ipv6_listener(port, "on")))
    headgate = running.headgate
    assert takes("::1", port) and not takes("127.0.0.1", port)
    for only in ("off", "on"):
        headgate.write_config(proxy(address, certificate, listener=ipv6_listener(port, only)))
        code, answer = headgate.post("/reload")
        assert code == 200, answer
        # The workers close and open their sockets behind the answer.
        wait_until(lambda only=only: takes("127.0.0.1", port) == (only == "off"), f"ipv6_only: {only} is in force")
        assert takes("::1", port)
    running.upgrade()
    assert takes("::1", port) and not takes("127.0.0.1", port)


@with_ipv6
def test_an_upgrade_may_change_which_families_a_bind_takes(line, backend, certificate, held_port):
    address, port = backend().address, held_port
    running = line(proxy(address, certificate, listener=ipv6_listener(port, "off")))
    assert takes("127.0.0.1", port)
    running.headgate.write_config(proxy(address, certificate, listener=ipv6_listener(port, "on")))
    assert running.headgate.post("/reload")[0] == 200
    running.headgate.write_config(proxy(address, certificate, listener=ipv6_listener(port, "off")))
    running.upgrade()
    assert takes("127.0.0.1", port) and takes("::1", port)


@with_ipv6
def test_two_listeners_share_a_port_by_family(start, backend, certificate, held_port):
    one, other = backend(), backend()
    port = held_port
    config = proxy(one.address, certificate, listener=ipv6_listener(port, "on"))
    headgate = start(config)
    config["listeners"].append({**config["listeners"][0], "name": "v4", "bind": f"0.0.0.0:{port}", "backend": "other"})
    config["backends"]["other"] = {"servers": [other.address]}
    headgate.write_config(config)
    code, answer = headgate.post("/reload")
    assert code == 200, answer
    wait_until(lambda: takes("127.0.0.1", port), "the second listener serves")
    assert one.accepted == 0
    assert takes("::1", port) and one.accepted == 1


@ipv6_can_be_taken
def test_a_bind_for_ipv6_alone_never_becomes_one_for_ipv4(tmp_path, certificate):
    config = proxy("127.0.0.1:9", certificate, listener=ipv6_listener(0, "on"))
    headgate = Headgate(tmp_path, config, preexec_fn=_without_ipv6)
    assert headgate.wait_exit() == 3
    assert "this system has no IPv6" in headgate.output
    headgate.child.stdout.close()
    headgate.child.stderr.close()
