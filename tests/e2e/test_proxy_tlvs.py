"""What PROXY headers of version 2 say beyond the addresses: passed on, logged, and asked for by routes."""

import json

import pytest
from harness.backends import recording
from harness.config import plain_proxy, proxy
from harness.proxy_header import ALPN, AUTHORITY, CRC32C, SSL, SSL_CN, UNIQUE_ID, Version2, tlv, version2
from harness.tls_client import TlsClient, raw_socket, read_to_end
from harness.tools import headgate_binary, run

FROM_HERE = {"proxy_protocol": {"from": ["127.0.0.0/8"]}}
AWS, AZURE, GCP = 0xEA, 0xEE, 0xE0
ENDPOINT = "vpce-0a1b2c3d4e5f60718"
AWS_TLV = tlv(AWS, b"\1" + ENDPOINT.encode())
AZURE_TLV = tlv(AZURE, b"\1" + (33554439).to_bytes(4, "little"))
GCP_TLV = tlv(GCP, (2**64 - 2).to_bytes(8, "big"))
LINKS = pytest.mark.parametrize(
    ("key", "value", "sent"),
    [("aws_vpc_endpoint", ENDPOINT, AWS_TLV), ("azure_private_link", 33554439, AZURE_TLV),
     ("gcp_psc_connection", 2**64 - 2, GCP_TLV)],
    ids=["aws", "azure", "gcp"],
)  # fmt: skip
NO_LINKS = {
    "aws of another subtype": tlv(AWS, b"\2" + ENDPOINT.encode()),
    "aws with a line break": tlv(AWS, b"\1" + ENDPOINT.encode() + b"\n"),
    "aws without a name": tlv(AWS, b"\1"),
    "aws, empty": tlv(AWS, b""),
    "aws, too long": tlv(AWS, b"\1vpce-" + b"a" * 60),
    "azure, too short": tlv(AZURE, b"\1abc"),
    "azure, too long": tlv(AZURE, b"\1abcde"),
    "gcp, too short": tlv(GCP, b"1234567"),
    "gcp, too long": tlv(GCP, b"123456789"),
}


def told(start, backend, tlvs, config=None):
    """The header that the server gets of a client whose own header has `tlvs`."""
    data = bytearray()
    one = backend(recording(data))
    headgate = start(config(one.address) if config else through(one.address))
    with raw_socket(headgate.port()) as client:
        client.sendall(version2(tlvs=tlvs) + b"x")
        client.shutdown(1)
        read_to_end(client)
    one.wait_open(0)
    return Version2(bytes(data)), headgate


def through(address, **options):
    return plain_proxy(address, listener={**FROM_HERE, **options.pop("listener", {})}, app={"send_proxy": "v2"}, **options)


def test_every_tlv_is_passed_on(start, backend):
    ssl = b"\1" + bytes(4) + tlv(SSL_CN, b"ann")
    sent = [(ALPN, b"h2"), (AUTHORITY, b"a.test"), (UNIQUE_ID, b"\0\xffid"), (SSL, ssl), (0x30, b"netns"), (0xF0, b"")]
    sent += [(0xE7, b"x" * 3000), (0x99, b"later")]
    header, _ = told(start, backend, b"".join(tlv(*one) for one in sent) + AWS_TLV + AZURE_TLV + GCP_TLV)
    assert header.source == "192.0.2.7"
    for kind, value in sent:
        assert header.tlvs[kind] == value, hex(kind)
    assert header.tlvs[AWS] == b"\1" + ENDPOINT.encode()
    assert header.tlvs[AZURE][1:] == (33554439).to_bytes(4, "little")
    assert header.tlvs[GCP] == (2**64 - 2).to_bytes(8, "big")
    assert header.crc32c_is_right()


def test_padding_and_checksum_are_not_passed_on(start, backend):
    header, _ = told(start, backend, tlv(0x04, bytes(100)) + tlv(0x99, b"kept"))
    assert 0x04 not in header.tlvs and header.tlvs[0x99] == b"kept"
    assert header.crc32c_is_right() and len(header.tlvs[CRC32C]) == 4


def test_headgates_own_tls_replaces_what_the_header_says_of_tls(start, backend, certificate):
    data = bytearray()
    one = backend(recording(data))
    tls = {"alpn": ["h2"]}
    headgate = start(proxy(one.address, certificate, tls=tls, listener=FROM_HERE, app={"send_proxy": "v2"}))
    tlvs = tlv(ALPN, b"spdy") + tlv(AUTHORITY, b"forged.test") + tlv(SSL, bytes(5)) + tlv(0x99, b"kept")
    with TlsClient(headgate.port(), alpn=["h2"]) as client:
        client.socket.sendall(version2(tlvs=tlvs))
        client.handshake()
        client.end_writing()
        client.recv_to_end()
    one.wait_open(0)
    header = Version2(bytes(data))
    assert (header.tlvs[ALPN], header.tlvs[AUTHORITY], header.tlvs[0x99]) == (b"h2", b"app.test", b"kept")
    assert header.ssl["client"] & 1 == 1


def test_version_1_has_no_room_for_tlvs(start, backend):
    data = bytearray()
    one = backend(recording(data))
    headgate = start(plain_proxy(one.address, listener=FROM_HERE, app={"send_proxy": "v1"}))
    with raw_socket(headgate.port()) as client:
        client.sendall(version2(tlvs=AWS_TLV))
        client.shutdown(1)
        read_to_end(client)
    one.wait_open(0)
    assert bytes(data).startswith(b"PROXY TCP4 192.0.2.7 ") and data.endswith(b"\r\n")


@LINKS
def test_the_private_link_and_the_id_are_in_the_log(start, backend, key, value, sent):
    _, headgate = told(start, backend, sent + tlv(UNIQUE_ID, b"req-1"))
    end = headgate.wait_log(message="connection ended", reason="finished")[0]
    assert (end[key], end["proxy_id"]) == (str(value), "req-1")
    headgate.wait_metric("headgate_proxy_headers_total", listener="web", kind=key)


def test_an_id_that_is_no_text_is_logged_in_hexadecimal(start, backend):
    _, headgate = told(start, backend, tlv(UNIQUE_ID, b'\0"\n\xff'))
    assert headgate.wait_log(message="connection ended")[0]["proxy_id"] == "00220aff"


def routed(address, key, value, **keys):
    """Clients of the private link go to `address`, all others nowhere."""
    config = through(address, **keys)
    del config["listeners"][0]["backend"]
    config["listeners"][0]["routes"] = [{key: value, "backend": "app"}]
    return config


def is_served(headgate, tlvs):
    with raw_socket(headgate.port()) as client:
        client.sendall(version2(tlvs=tlvs) + b"x")
        try:
            return client.recv(1) != b""
        except ConnectionResetError:
            return False


@LINKS
def test_a_route_takes_the_clients_of_a_private_link_alone(start, backend, key, value, sent):
    headgate = start(routed(backend().address, key, value))
    assert is_served(headgate, sent)
    assert is_served(headgate, tlv(0x99, b"before") + sent + tlv(0x99, b"behind"))
    for other in (b"", AWS_TLV + AZURE_TLV + GCP_TLV):
        assert is_served(headgate, other) == (sent in other)
    other = {"aws_vpc_endpoint": tlv(AWS, b"\1vpce-1"), "azure_private_link": tlv(AZURE, b"\1\0\0\0\1"),
             "gcp_psc_connection": tlv(GCP, bytes(8))}[key]  # fmt: skip
    assert not is_served(headgate, other)
    assert not is_served(headgate, other + sent), "the first of them counts"
    headgate.wait_metric("headgate_connections_closed_total", 3, reason="no_route")


@pytest.mark.parametrize("sent", NO_LINKS.values(), ids=NO_LINKS.keys())
def test_what_does_not_have_the_form_of_a_link_is_none_and_is_passed_on(start, backend, sent):
    header, headgate = told(start, backend, sent)
    assert header.tlvs[sent[0]] == sent[3:]
    end = headgate.wait_log(message="connection ended")[0]
    assert not {"aws_vpc_endpoint", "azure_private_link", "gcp_psc_connection"} & end.keys()
    headgate.wait_metric("headgate_proxy_headers_total", kind="v2")


@pytest.mark.parametrize("sent", [AWS_TLV[:-1], AWS_TLV[:2], b"\xea\xff\xff\1" + ENDPOINT.encode(), b"\xea"])
def test_a_tlv_that_is_cut_short_ends_the_connection(start, backend, sent):
    headgate = start(routed(backend().address, "aws_vpc_endpoint", ENDPOINT))
    assert not is_served(headgate, sent)
    headgate.wait_metric("headgate_connections_closed_total", reason="proxy_header_malformed")


def test_a_header_of_more_than_16_kib_ends_the_connection(start, backend):
    headgate = start(through(backend().address))
    assert not is_served(headgate, tlv(0x99, bytes(16 * 1024)))
    headgate.wait_metric("headgate_connections_closed_total", reason="proxy_header_malformed")


def test_a_passthrough_route_may_ask_for_a_private_link(start, backend, certificate):
    config = proxy(backend().address, certificate, listener=FROM_HERE)
    route = {"sni": ["app.test"], "aws_vpc_endpoint": ENDPOINT, "passthrough": True, "backend": "app"}
    config["listeners"][0]["routes"] = [route]
    headgate = start(config)
    for tlvs, passes in ((AWS_TLV, True), (b"", False)):
        with TlsClient(headgate.port()) as client:
            hello = client.client_hello()
            client.socket.sendall(version2(tlvs=tlvs) + hello)
            # The echo behind sends the ClientHello back; Headgate itself answers with a ServerHello.
            assert (client.socket.recv(6)[5:] == b"\1") == passes


def test_a_live_connection_keeps_its_link_and_its_id_through_a_reload_and_an_upgrade(line, backend):
    config = routed(backend().address, "aws_vpc_endpoint", ENDPOINT)
    running = line(config)
    headgate = running.headgate
    with raw_socket(headgate.port()) as client:
        client.sendall(version2(tlvs=AWS_TLV + tlv(UNIQUE_ID, b"req-1")))
        first = client.recv(4096)
        assert first.startswith(b"\r\n\r\n"), "the echo of the header that Headgate sends"
        config["listeners"][0]["timeouts"] = {"idle": "1m"}
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        assert is_served(headgate, AWS_TLV) and not is_served(headgate, b"")
        running.upgrade()
        assert is_served(headgate, AWS_TLV) and not is_served(headgate, b"")
        client.sendall(b"still here")
        while not first.endswith(b"still here"):
            part = client.recv(4096)
            assert part
            first += part
        client.shutdown(1)
        read_to_end(client)
    ends = headgate.wait_log(message="connection ended", proxy_id="req-1", reason="finished")
    assert ends[0]["aws_vpc_endpoint"] == ENDPOINT


def test_explain_says_which_route_a_private_link_takes(tmp_path):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(routed("127.0.0.1:9", "azure_private_link", [7, "33554439"])))

    def explain(*words):
        return run(headgate_binary(), "explain", "--config", file, "--listener", "web", *words).stdout

    assert "route 1: matches" in explain("--azure-private-link", "33554439")
    refused = explain("--azure-private-link", "8", "--aws-vpc-endpoint", ENDPOINT)
    assert "route 1: azure_private_link does not match" in refused and "refused: no_route" in refused


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("aws_vpc_endpoint", "VPCE-1", "is not the id of a VPC endpoint"),
        ("aws_vpc_endpoint", "vpce-", "is not the id of a VPC endpoint"),
        ("azure_private_link", 2**32, "is not a number from 0 to 4294967295"),
        ("azure_private_link", "007", "is not a number from 0 to 4294967295"),
        ("gcp_psc_connection", str(2**64), "is not a number from 0 to 18446744073709551615"),
        ("gcp_psc_connection", -1, "is not a number from 0 to 18446744073709551615"),
        ("gcp_psc_connection", [], "listeners[0].routes[0].gcp_psc_connection"),
    ],
)
def test_check_refuses_what_no_header_can_name(tmp_path, key, value, fault):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(routed("127.0.0.1:9", key, value)))
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 1 and fault in checked.stdout + checked.stderr


def test_check_refuses_a_route_by_private_link_where_no_header_can_name_one(tmp_path):
    config = routed("127.0.0.1:9", "aws_vpc_endpoint", ENDPOINT)
    del config["listeners"][0]["proxy_protocol"]
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(config))
    checked = run(headgate_binary(), "check", "--config", file)
    assert checked.returncode == 1 and "can never match: only a PROXY header names a private link" in (
        checked.stdout + checked.stderr
    )
