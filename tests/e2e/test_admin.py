"""The admin endpoint: health, readiness, status."""

import json

from cryptography.x509.oid import NameOID
from harness.config import proxy
from harness.servers import short_directory
from harness.tls_client import connect
from harness.tools import run, tool
from harness.waiting import wait_until


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


def test_the_endpoint_may_be_a_unix_socket(start, backend, certificate):
    path = short_directory() / "admin.sock"
    headgate = start(proxy(backend().address, certificate, admin={"bind": f"unix:{path}"}), wait=False)
    headgate.port()
    headgate.wait_log(message="admin listening")
    told = run(tool("curl"), "--silent", "--unix-socket", path, "http://admin/readyz", "-o", "-", "-w", "%{http_code}")
    assert told.stdout.endswith("200"), told
