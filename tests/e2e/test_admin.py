"""The admin endpoint: health, readiness, status."""

import contextlib
import http.client
import json
import os
import re
import socket
import stat

import pytest
from cryptography.x509.oid import NameOID
from harness.authority import replace_file
from harness.config import file_text, proxy
from harness.kernel import listening_ports
from harness.servers import short_directory
from harness.tls_client import connect
from harness.tools import headgate_binary, run, tool
from harness.waiting import DEADLINE_SECONDS, wait_until


def test_healthz_and_readyz_answer_200_when_all_is_well(echo_proxy):
    assert echo_proxy.get("/healthz")[0] == 200
    assert echo_proxy.get("/readyz")[0] == 200


def test_status_names_listeners_with_their_real_ports(echo_proxy):
    assert echo_proxy.address() in json.dumps(echo_proxy.status()["listeners"])


def test_status_names_certificates_with_file_and_expiry(echo_proxy, certificate):
    (told,) = echo_proxy.status()["certificates"]
    assert told["file"] == str(certificate.certificate) and "app.test" in told["names"]
    assert told["issuer"] == certificate.x509.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_status_names_backends_and_their_servers(echo_proxy):
    assert "app" in json.dumps(echo_proxy.status()["backends"])
    assert "127.0.0.1:" in json.dumps(echo_proxy.status()["backends"])


def test_a_server_that_fails_its_checks_is_down_with_the_reason_and_the_time(start, backend, certificate, refusing):
    checks = {"health_check": {"type": "tcp", "interval": "100ms", "fall": 1}}
    headgate = start(proxy([backend().address, refusing], certificate, app=checks))
    headgate.wait_metric("headgate_backend_up", 0, server=refusing)

    def is_told():
        told = {one["address"]: one for one in headgate.status()["backends"][0]["servers"]}
        down = told.pop(refusing)
        (up,) = told.values()
        return not down["up"] and "refused" in down["reason"] and up["up"] and not up["reason"] and up["since"] <= down["since"]

    wait_until(is_told, lambda: headgate.get("/status.json")[1])


def test_a_server_that_is_ejected_is_down_until_a_connection_succeeds(start, backend, certificate, refusing):
    """Without a health check nothing else shows that connections cannot reach it."""
    ejection = {"failures": 2, "for": "1h"}
    headgate = start(proxy([backend().address, refusing], certificate, app={"ejection": ejection}, workers=1))

    def is_down():
        with connect(headgate.port()) as client:
            client.exchange(b"by the server that answers")
        return headgate.metric("headgate_backend_up", server=refusing) == 0

    wait_until(is_down, lambda: headgate.output)
    assert headgate.metric("headgate_backend_up") == 1, "the other one"
    told = {one["address"]: one for one in headgate.status()["backends"][0]["servers"]}[refusing]
    assert not told["up"] and "passed over" in told["reason"] and told["since"] >= headgate.status()["started"]


def test_no_answer_holds_a_private_key(echo_proxy, certificate):
    for path in ("/metrics", "/status.json", "/"):
        assert "PRIVATE KEY" not in echo_proxy.get(path)[1]


def test_an_unknown_path_is_404(echo_proxy):
    assert echo_proxy.get("/nothing-here")[0] == 404


def test_a_method_that_is_not_served_is_405(echo_proxy):
    assert echo_proxy.request("DELETE", "/metrics")[0] == 405


def test_the_endpoint_may_be_off(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, admin={"bind": "off"}), wait=False)
    with connect(headgate.port()) as client:
        client.exchange(b"x")
    assert not headgate.log_with(message="admin listening")


def on_a_unix_socket(start, backend, certificate, **options):
    """(Headgate, the path of its admin socket)."""
    path = short_directory() / "admin.sock"
    headgate = start(proxy(backend().address, certificate, admin={"bind": f"unix:{path}"}), wait=False, **options)
    headgate.port()
    headgate.wait_log(message="admin listening")
    return headgate, path


def curl(*arguments, **options):
    """The status of curl's answer, or its exit code as a negative number."""
    told = run(tool("curl"), "--silent", "--max-time", "30", "-o", "-", "-w", "\n%{http_code}", *arguments, **options)
    return int(told.stdout.splitlines()[-1]) if told.returncode == 0 else -told.returncode


def test_the_endpoint_may_be_a_unix_socket(start, backend, certificate):
    _, path = on_a_unix_socket(start, backend, certificate)
    assert curl("--unix-socket", path, "http://admin/readyz") == 200
    assert curl("--unix-socket", path, "-X", "POST", "http://admin/reload") == 200


def test_an_endpoint_on_a_unix_socket_has_no_tcp_port(start, backend, certificate):
    """Before, an inner port let in whoever came from the right port number of another address of loopback."""
    headgate, _ = on_a_unix_socket(start, backend, certificate)
    assert listening_ports(headgate.child.pid) == [headgate.port()]


@pytest.mark.parametrize("kind", ["file", "link", "socket"])
def test_what_others_have_in_the_place_of_the_unix_socket_is_kept(tmp_path, backend, certificate, kind):
    path = short_directory() / "admin.sock"
    other = path.with_name("other")
    with socket.socket(socket.AF_UNIX) as listening:
        if kind == "socket":
            listening.bind(str(path))
            listening.listen()
        else:
            (path if kind == "file" else other).write_text("kept")
        if kind == "link":
            path.symlink_to(other)
        config = tmp_path / "headgate.yaml"
        config.write_text(file_text(proxy(backend().address, certificate, admin={"bind": f"unix:{path}"})))
        told = run(headgate_binary(), "run", "--config", config)
        assert told.returncode == 3 and "admin.bind" in told.stderr, told.stderr
        assert path.is_socket() if kind == "socket" else path.read_text() == "kept"


def test_no_other_user_may_use_the_unix_socket_whatever_the_umask(start, backend, certificate):
    _, path = on_a_unix_socket(start, backend, certificate, umask=0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o770
    other = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    refused = curl("--unix-socket", path, "http://admin/readyz", **other)
    assert refused == (-7 if other else 200), "7: curl cannot connect"


def test_the_file_of_the_unix_socket_goes_with_the_process(start, backend, certificate):
    headgate, path = on_a_unix_socket(start, backend, certificate)
    headgate.stop()
    assert not path.exists()


def as_host(headgate, host, path="/status.json", *more):
    return curl("-H", f"Host: {host}", f"http://{headgate.admin_address}{path}", *more)


def test_a_host_that_is_not_the_endpoints_is_refused_and_the_key_for_it_is_named(echo_proxy):
    for path in ("/", "/metrics", "/status.json", "/connections.json", "/healthz"):
        assert as_host(echo_proxy, "evil.example", path) == 421
        assert as_host(echo_proxy, "evil.example:" + echo_proxy.admin_address.split(":")[1], path) == 421
    assert as_host(echo_proxy, "192.0.2.7") == 421
    assert as_host(echo_proxy, "evil.example", "/reload", "-X", "POST", "-H", "Origin: http://evil.example") == 421
    told = run(tool("curl"), "-s", "-H", "Host: evil.example", f"http://{echo_proxy.admin_address}/metrics").stdout
    assert "evil.example" in told and "admin.names" in told
    for own in (echo_proxy.admin_address, "localhost", "LocalHost:9464", "127.0.0.1", "[::1]:1"):
        assert as_host(echo_proxy, own) == 200


def test_a_name_that_is_resolved_to_the_endpoint_is_not_its_name(echo_proxy):
    """As a page does by DNS rebinding: the client itself believes that the endpoint has this name."""
    address, port = echo_proxy.admin_address.split(":")
    assert curl("--resolve", f"evil.example:{port}:{address}", f"http://evil.example:{port}/status.json") == 421


def test_a_dotted_host_is_refused_on_a_unix_socket_too(start, backend, certificate):
    _, path = on_a_unix_socket(start, backend, certificate)
    assert curl("--unix-socket", path, "http://evil.example/status.json") == 421
    assert curl("--unix-socket", path, "http://headgate/status.json") == 200


def test_configured_names_are_the_endpoints_and_a_reload_changes_them(start, backend, certificate):
    address = backend().address
    headgate = start(proxy(address, certificate, admin={"bind": "127.0.0.1:0", "names": "status.example"}))
    assert as_host(headgate, "status.example") == 200
    assert as_host(headgate, "a.pods.example") == 421
    names = ["*.pods.example", "192.0.2.7"]
    headgate.write_config(proxy(address, certificate, admin={"bind": "127.0.0.1:0", "names": names}))
    assert headgate.post("/reload")[0] == 200
    assert as_host(headgate, "status.example") == 421
    assert as_host(headgate, "a.pods.example:80") == 200
    assert as_host(headgate, "192.0.2.7:80") == 200


def test_every_address_is_the_endpoints_where_it_binds_every_address(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, admin={"bind": "0.0.0.0:0"}), wait=False)
    port = headgate.admin_address.split(":")[1]
    assert curl("-H", "Host: 192.0.2.7:9464", f"http://127.0.0.1:{port}/status.json") == 200
    assert curl("-H", "Host: evil.example", f"http://127.0.0.1:{port}/status.json") == 421


def test_a_fault_in_a_name_of_the_endpoint_says_what_would_be_right(tmp_path, backend, certificate):
    for wrong, hint in (("http://status.example", "no port"), ("status.example:80", "no port"), ("a b", "is not a name")):
        file = tmp_path / "headgate.yaml"
        file.write_text(json.dumps(proxy(backend().address, certificate, admin={"names": [wrong]})))
        checked = run(headgate_binary(), "check", "--config", file)
        assert checked.returncode == 1 and "admin.names" in checked.stdout + checked.stderr
        assert hint in checked.stdout + checked.stderr


def metrics_address(headgate):
    return headgate.wait_log(message="metrics listening")[-1]["address"]


def asked_at(address, method, path):
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path)
        return connection.getresponse().status


def test_the_metrics_address_changes_nothing_and_shows_no_connection(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, admin={"bind": "127.0.0.1:0", "metrics_bind": "127.0.0.1:0"}))
    address = metrics_address(headgate)
    assert address != headgate.admin_address
    assert [asked_at(address, "GET", path) for path in ("/metrics", "/healthz", "/readyz")] == [200] * 3
    assert [asked_at(address, "GET", path) for path in ("/", "/status.json", "/connections.json", "/handshakes.json")] == [404] * 4
    assert [asked_at(address, "POST", path) for path in ("/drain", "/reload", "/log?level=debug")] == [404] * 3
    assert headgate.get("/readyz")[0] == 200 and not headgate.status()["drain"]["active"]


def test_metrics_have_an_address_where_the_admin_endpoint_is_off(start, backend, certificate):
    config = proxy(backend().address, certificate, admin={"bind": "off", "metrics_bind": "127.0.0.1:0"})
    headgate = start(config, wait=False)
    address = metrics_address(headgate)
    wait_until(lambda: asked_at(address, "GET", "/readyz") == 200, lambda: headgate.output)
    assert not headgate.log_with(message="admin listening")


def test_a_taken_metrics_address_exits_3_with_one_line_that_names_its_key(start, certificate):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        headgate = start(
            proxy("127.0.0.1:9", certificate, admin={"bind": "127.0.0.1:0", "metrics_bind": address}), wait=False
        )
        headgate.expected_exit = 3
        assert headgate.wait_exit() == 3
    assert f"headgate: admin.metrics_bind: cannot listen on {address}: " in headgate.output


TOKEN = "5f2b8c1e9a7d4036b1c8e2f09d5a7b64"


@pytest.fixture
def guarded(start, backend, certificate, tmp_path):
    """Headgate whose admin endpoint wants a token, with `token_file`."""
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o600)
    headgate = start(proxy(backend().address, certificate, admin={"bind": "127.0.0.1:0", "token_file": str(file)}))
    headgate.token_file = file
    return headgate


def asked_with(headgate, path, *options):
    """(status, headers and text) as curl gets them."""
    told = run(tool("curl"), "-sS", "-i", *options, f"http://{headgate.admin_address}{path}")
    assert told.returncode == 0, told
    return int(told.stdout.split(" ", 2)[1]), told.stdout


def test_a_token_opens_the_endpoint_to_programs_and_browsers(guarded):
    status, text = asked_with(guarded, "/status.json")
    assert status == 401 and "admin.token_file" in text and '"listeners"' not in text
    assert 'WWW-Authenticate: Basic realm="headgate"' in text and 'WWW-Authenticate: Bearer realm="headgate"' in text
    for shown in (["-H", f"Authorization: Bearer {TOKEN}"], ["-H", f"Authorization: bearer {TOKEN}"], ["-u", f"anyone:{TOKEN}"]):
        assert asked_with(guarded, "/status.json", *shown)[0] == 200, shown
        assert asked_with(guarded, "/", *shown)[0] == 200, shown
    for wrong in ("", TOKEN[:-1], TOKEN + "0", TOKEN.upper()):
        for shown in (["-H", f"Authorization: Bearer {wrong}"], ["-u", f"anyone:{wrong}"]):
            assert asked_with(guarded, "/drain", "-X", "POST", *shown)[0] == 401, shown
    assert asked_with(guarded, "/healthz")[0] == asked_with(guarded, "/readyz")[0] == 200, "probes show none"
    assert asked_with(guarded, "/reload", "-X", "POST", "-H", f"Authorization: Bearer {TOKEN}")[0] == 200
    assert TOKEN not in guarded.output


def test_a_new_token_is_in_force_by_itself_and_a_bad_one_leaves_the_old_one(guarded):
    fresh = TOKEN[::-1]

    def opens(token):
        return asked_with(guarded, "/status.json", "-H", f"Authorization: Bearer {token}")[0] == 200

    replace_file(guarded.token_file, f"{fresh}\n".encode(), mode=0o600)
    wait_until(lambda: opens(fresh), lambda: guarded.output)
    assert not opens(TOKEN)
    replace_file(guarded.token_file, b"short\n", mode=0o600)
    guarded.wait_log(message="reload refused")
    assert opens(fresh) and not opens("short")


@pytest.mark.parametrize(
    "content, fault",
    [
        (None, "No such file"),
        ("", "shorter than 16 bytes"),
        ("fifteen-bytes..\n", "shorter than 16 bytes"),
        (f"{TOKEN}\n{TOKEN}\n", "more than one word"),
        (f"Bearer {TOKEN}\n", "more than one word"),
    ],
)
def test_check_refuses_a_token_that_is_none(certificate, tmp_path, content, fault):
    if content is not None:
        (tmp_path / "token").write_text(content)
    file = tmp_path / "headgate.yaml"
    file.write_text(file_text(proxy("127.0.0.1:9", certificate, admin={"token_file": "token"})))
    told = run(headgate_binary(), "check", file)
    assert told.returncode == 1 and re.search(rf": admin\.token_file: .*token: .*{fault}", told.stdout), told
    assert TOKEN not in told.stdout
