"""Connections to and from addresses of others (IP_TRANSPARENT), with clients, a router and servers in namespaces."""

import json

import re
import shutil
import ssl

import pytest
import yaml
from harness.config import SANITIZED, plain_proxy
from harness.headgate import Headgate
from harness.namespaces import CLIENT, CLIENT6, OTHER_SERVER, ROUTER, SERVER, SERVER6
from harness.tls_client import raw_socket
from harness.tools import TOP, headgate_binary, run, tool
from harness.upgrades import Line
from harness.waiting import DEADLINE_SECONDS


NOBODY = 65534
CAP_NET_ADMIN, CAP_NET_RAW = 1 << 12, 1 << 13
MANUAL = (TOP / "docs" / "backends.md").read_text()


def shown(language):
    """The blocks of code about transparent listeners in the manual."""
    section = MANUAL[MANUAL.index("## Transparent") :]
    return re.findall(rf"```{language}\n(.*?)```", section, re.S)


def as_the_manual_says(network):
    """Sets the router up."""
    [rules], [ruleset] = shown("sh"), shown("nft")
    for line in filter(None, rules.splitlines()):
        assert line.startswith("ip "), line
        network.router.ip(line.removeprefix("ip "))
    network.nft(ruleset)


def tell_peer(connection):
    """Answers an HTTP request with the address of the client."""
    request = b""
    while b"\r\n\r\n" not in request:
        part = connection.recv(4096)
        if not part:
            return
        request += part
    body = connection.getpeername()[0].encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture
def server(network, backend):
    """Starts a server at an address of the servers' network; it tells each client the address that it sees."""

    def start_one(host, port, pair=None):
        wrap = None
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(str(pair.certificate), str(pair.key))

            def wrap(connection):
                return context.wrap_socket(connection, server_side=True)

        with network.server.entered():
            return backend(tell_peer, wrap=wrap, at=(host, port))

    return start_one


def curl(network, *arguments):
    with network.client.entered():
        return run(tool("curl"), "-sS", "--max-time", DEADLINE_SECONDS, *arguments)


def peer_seen(network, host, port=80):
    """The address that the server at `host` sees of a client that asked for that server."""
    told = curl(network, f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/")
    assert told.returncode == 0, told.stderr
    return told.stdout


def transparent(port=80, **keys):
    """A transparent listener without TLS, and nothing else that is given."""
    config = plain_proxy("unused", workers=2, **keys)
    config["listeners"][0].update(bind=f":{port}", transparent=True)
    del config["listeners"][0]["backend"]
    del config["backends"]
    return config


def from_the_client(**keys):
    config = transparent(**keys)
    config["listeners"][0]["backend"] = "asked-for"
    config["backends"] = {"asked-for": {"servers": "original", "source": "client"}}
    return config


def capabilities(pid):
    with open(f"/proc/{pid}/status") as status:
        return {line.split(":")[0]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}


def test_the_worked_example_serves_each_client_from_its_own_address(
    network, server, certificate, authority, open_directory, open_program
):
    as_the_manual_says(network)
    config = yaml.safe_load((TOP / "config/examples/transparent.yaml").read_text())
    config.update(workers=2, admin={"bind": "127.0.0.1:0"}, log={"format": "json", "access": "all"})
    (open_directory / "tls.pem").write_text(certificate.certificate.read_text() + certificate.key.read_text())
    shutil.copy(authority.file, open_directory / "servers-ca.pem")
    for name in ("tls.pem", "servers-ca.pem"):
        (open_directory / name).chmod(0o644)
    for host in (SERVER, SERVER6):
        server(host, 443, certificate)
    headgate = Headgate(open_directory, config).wait_ready()
    try:
        for host, client in ((SERVER, CLIENT), (SERVER6, CLIENT6)):
            address = f"[{host}]" if ":" in host else host
            told = curl(network, "--cacert", authority.file, "--resolve", f"app.test:443:{address}", "https://app.test/")
            assert told.returncode == 0, told.stderr + headgate.output
            assert told.stdout == client
        ends = headgate.wait_log(2, message="connection ended")
        assert {end["source"].rsplit(":", 1)[0] for end in ends} == {CLIENT, f"[{CLIENT6}]"}
        assert {end["server"] for end in ends} == {"original"}
        assert headgate.metric("headgate_backend_connect_duration_seconds_count", server="original") == 2
    finally:
        assert headgate.stop() == 0


@pytest.mark.parametrize(("host", "router"), [(SERVER, "10.77.2.1"), (SERVER6, "fd77:2::1")])
def test_a_transparent_listener_without_a_backend_goes_where_the_client_asked_to(network, server, start, host, router):
    network.deliver_to_router("iif clients")
    server(host, 80)
    server(OTHER_SERVER, 80)
    start(transparent())
    assert peer_seen(network, host) == router
    assert peer_seen(network, OTHER_SERVER) == "10.77.2.1"


def test_a_transparent_listener_may_have_servers_of_its_own(network, server, start):
    network.deliver_to_router("iif clients", "iif servers")
    config = transparent()
    config["listeners"][0]["backend"] = "app"
    config["backends"] = {"app": {"servers": server(OTHER_SERVER, 8080).address, "source": "client"}}
    start(config)
    assert peer_seen(network, SERVER) == CLIENT, "no server is there"


def test_it_survives_a_reload_and_an_upgrade_as_another_user_with_the_one_right_that_it_needs(
    network, server, open_directory, open_program
):
    network.deliver_to_router("iif clients", "iif servers")
    server(SERVER, 80)
    config = from_the_client(user="nobody")
    if SANITIZED:
        config["sandbox"] = False
    running = Line(Headgate(open_directory, config).wait_ready())
    headgate = running.headgate
    try:
        for step in ("start", "reload", "upgrade", "second upgrade"):
            if step == "reload":
                config["listeners"][0]["timeouts"] = {"idle": "1m"}
                headgate.write_config(config)
                assert headgate.post("/reload")[0] == 200, headgate.output
            elif step != "start":
                running.upgrade()
            assert peer_seen(network, SERVER) == CLIENT, step
            held = capabilities(running.pid)
            assert held["CapPrm"] == held["CapEff"] == held["CapAmb"] == CAP_NET_RAW, step
    finally:
        running.end()
        assert headgate.stop() == 0


def test_a_process_that_is_not_asked_for_it_keeps_no_capability(network, open_directory, open_program):
    headgate = Headgate(open_directory, plain_proxy("127.0.0.1:9", user="nobody")).wait_ready()
    try:
        held = capabilities(headgate.child.pid)
        assert held["CapPrm"] == held["CapEff"] == held["CapAmb"] == 0
        headgate.write_config(from_the_client(user="nobody"))
        code, text = headgate.post("/reload")
        assert code == 422 and "listener web, `transparent`: this process may not use addresses" in text, text
        assert "CAP_NET_RAW or CAP_NET_ADMIN from its start" in text
    finally:
        assert headgate.stop() == 0


@pytest.mark.parametrize("which", ["listener", "backend"])
def test_a_process_without_the_right_does_not_start_and_says_which_it_needs(network, open_directory, open_program, which):
    config = transparent(port=8080) if which == "listener" else plain_proxy("127.0.0.1:9", app={"source": "client"})
    headgate = Headgate(open_directory, config, user=NOBODY, group=NOBODY, extra_groups=[])
    assert headgate.wait_exit() == 3
    asks = "listener web, `transparent`" if which == "listener" else "backend app, `source: client`"
    assert f"{asks}: this process may not use addresses that are not this machine's" in headgate.output
    assert "CAP_NET_RAW" in headgate.output


def test_a_client_that_asks_for_the_listener_itself_is_refused_and_no_loop_begins(network, start):
    headgate = start(transparent())
    told = curl(network, f"http://{ROUTER}/")
    assert told.returncode != 0
    end = headgate.wait_log(message="connection ended", reason="no_backend")[0]
    assert end["detail"] == f"original: the client asked for {ROUTER}:80, which is this listener itself"
    assert headgate.metric("headgate_connections_accepted_total") == 1


def test_an_address_without_a_server_is_named_and_harms_no_other_client(network, server, start):
    network.deliver_to_router("iif clients")
    server(SERVER, 80)
    headgate = start(transparent())
    for _ in range(6):
        assert curl(network, f"http://{OTHER_SERVER}/").returncode != 0
    ends = headgate.wait_log(6, message="connection ended", reason="backend_connect_failed")
    assert ends[0]["detail"] == f"original ({OTHER_SERVER}:80): connect: Connection refused"
    failures = headgate.metric("headgate_backend_connect_failures_total", server="original", reason="refused")
    assert failures == 6, "one attempt for each client"
    assert peer_seen(network, SERVER) == "10.77.2.1"


def test_a_reload_turns_it_off_and_on_without_closing_the_socket(network, server, start):
    network.deliver_to_router("iif clients")
    one = server(SERVER, 80)
    config = transparent()
    headgate = start(config)
    assert peer_seen(network, SERVER) == "10.77.2.1"
    off = plain_proxy(one.address, listener={"bind": ":80"})
    for wanted, text in ((off, "off"), (config, "on")):
        headgate.write_config(wanted)
        assert headgate.post("/reload")[0] == 200, text
        told = curl(network, "--connect-timeout", 1, f"http://{SERVER}/")
        assert (told.returncode == 0) == (text == "on"), told.stderr
        assert (curl(network, f"http://{ROUTER}/").returncode == 0) == (text == "off")


def test_a_client_of_the_other_family_is_refused_and_the_server_is_not_ejected(network, server, start):
    network.deliver_to_router("iif servers")
    config = plain_proxy(server(SERVER, 80).address, listener={"bind": ":80"}, app={"source": "client"})
    headgate = start(config)
    for _ in range(6):
        assert curl(network, "http://[fd77:1::1]/").returncode != 0
    end = headgate.wait_log(6, message="connection ended", reason="no_backend")[0]
    assert end["detail"].endswith(f"no connection goes from the IPv6 address {CLIENT6} to {SERVER}:80")
    assert peer_seen(network, ROUTER) == CLIENT


def test_a_client_to_which_the_servers_have_no_way_back_takes_no_server_from_others(network, server, start):
    network.deliver_to_router("iif servers")
    lost = "10.77.1.66"
    with network.client.entered():
        network.client.ip(f"addr add {lost}/24 dev uplink")
    with network.server.entered():
        network.server.ip(f"route add blackhole {lost}/32")
    keys = {"source": "client", "ejection": {"failures": 1, "for": "1h"}, "connect_timeout": "200ms"}
    servers = [server(host, 80).address for host in (SERVER, OTHER_SERVER)]
    headgate = start(plain_proxy(servers, listener={"bind": ":80"}, app=keys))
    for _ in range(3):
        assert curl(network, "--interface", lost, f"http://{ROUTER}/").returncode != 0
    headgate.wait_log(3, message="connection ended", reason="backend_connect_timeout")
    with network.router.entered(), pytest.raises(ConnectionResetError), raw_socket(80) as local:
        local.recv(1)  # from 127.0.0.1, from which nothing leaves a machine
    headgate.wait_metric("headgate_backend_connect_failures_total", 2, reason="source")
    assert headgate.metric("headgate_backend_connect_failures_total", reason="timeout") == 6
    assert {headgate.metric("headgate_backend_up", server=one) for one in servers} == {1}
    assert peer_seen(network, ROUTER) == CLIENT


# --- the address to connect from; these need no namespace


def test_a_backend_is_reached_from_the_address_of_source_and_so_are_its_health_checks(start, backend):
    seen = []

    def note(connection):
        seen.append(connection.getpeername()[0])
        connection.sendall(b"x")

    one = backend(note)
    check = {"interval": "50ms", "timeout": "1s"}
    headgate = start(plain_proxy(one.address, app={"source": "127.0.0.77", "health_check": check}))
    with raw_socket(headgate.port()) as client:
        assert client.recv(1) == b"x"
    one.wait_open(0)
    assert set(seen) == {"127.0.0.77"}


def test_a_source_that_no_interface_has_is_a_reason_of_its_own(start, backend):
    app = {"source": "192.0.2.77", "connect_attempts": 1, "ejection": {"failures": 1, "for": "1h"}}
    headgate = start(plain_proxy(backend().address, app=app))
    with pytest.raises(ConnectionResetError), raw_socket(headgate.port()) as client:
        client.recv(1)
    headgate.wait_metric("headgate_backend_connect_failures_total", reason="source")
    assert headgate.metric("headgate_backend_up") == 1, "it is no failure of the server"
    end = headgate.wait_log(message="connection ended", reason="backend_connect_failed")[0]
    assert "connect from 192.0.2.77: Cannot assign requested address" in end["detail"]


def test_explain_says_where_connections_go_and_from_where(tmp_path):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(from_the_client()))
    told = run(headgate_binary(), "explain", "--config", file, "--listener", "web")
    assert "listener: web (:80), also for addresses of others" in told.stdout.replace("[::]", "")
    assert "backend: asked-for, the address that the client asked for, from the client's address" in told.stdout


def test_show_names_the_backend_that_a_transparent_listener_has_by_itself(tmp_path):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(transparent()))
    told = run(headgate_binary(), "show", "--config", file)
    config = yaml.safe_load(told.stdout)
    assert config["listeners"][0]["backend"] == "original"
    assert config["backends"]["original"]["servers"][0]["address"] == "original"
    file.write_text(told.stdout)
    assert run(headgate_binary(), "show", "--config", file).stdout == told.stdout
