"""Versions and application protocols: a listener's policy lets some through and refuses others."""

import json
import ssl

import pytest
from OpenSSL import SSL

from harness.config import proxy
from harness.tls_client import TLS12, TLS13, TlsClient, alerts_in, connect, handshake_alert, python_context, python_tls
from harness.tools import headgate_binary, is_on_awslc, openssl_version, run
from harness.waiting import wait_until


def test_the_newest_version_is_chosen_when_the_client_has_both(echo_proxy):
    with connect(echo_proxy.port()) as client:
        assert client.version == "TLSv1.3"


def test_tls_1_2_uses_ephemeral_keys_and_aead(echo_proxy):
    with connect(echo_proxy.port(), version=TLS12) as client:
        assert client.cipher.startswith("ECDHE-") and ("GCM" in client.cipher or "CHACHA20" in client.cipher)


@pytest.mark.parametrize("limit, refused", [({"min_version": "1.3"}, TLS12), ({"max_version": "1.2"}, TLS13)])
def test_a_version_outside_the_policy_is_refused_by_name(start, backend, certificate, limit, refused):
    headgate = start(proxy(backend().address, certificate, tls=limit))
    assert "protocol version" in handshake_alert(headgate.port(), version=refused)
    headgate.wait_metric("headgate_handshake_failures_total", reason="unsupported_version")
    with connect(headgate.port(), version=TLS13 if refused == TLS12 else TLS12) as client:
        client.exchange(b"x")


def test_the_server_prefers_its_own_order_of_application_protocols(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls={"alpn": ["h2", "http/1.1"]}))
    with connect(headgate.port(), alpn=["http/1.1", "h2"]) as client:
        assert client.alpn == "h2"


def test_a_client_without_alpn_is_served_where_alpn_is_configured(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls={"alpn": ["h2"]}))
    with connect(headgate.port()) as client:
        assert client.alpn == ""
        client.exchange(b"x")


def test_no_alpn_is_answered_where_none_is_configured(echo_proxy):
    with connect(echo_proxy.port(), alpn=["h2"]) as client:
        assert client.alpn == ""


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_no_common_application_protocol_is_refused_by_name(start, backend, certificate, version):
    headgate = start(proxy(backend().address, certificate, tls={"alpn": ["h2"]}))
    with TlsClient(headgate.port(), alpn=["spdy/1"], version=version) as client:
        client.socket.sendall(client.client_hello())
        wire = b""
        while chunk := client.socket.recv(65536):
            wire += chunk
    assert (2, 120) in alerts_in(wire)
    headgate.wait_metric("headgate_handshake_failures_total", reason="no_shared_alpn")


def test_a_listener_of_one_cipher_suite_speaks_only_that(start, backend, certificate):
    tls = {"cipher_suites": ["TLS_CHACHA20_POLY1305_SHA256"], "ciphers": "ECDHE-ECDSA-CHACHA20-POLY1305"}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    with connect(headgate.port(), version=TLS13) as client:
        assert client.cipher == "TLS_CHACHA20_POLY1305_SHA256"
        client.exchange(b"x")
    with connect(headgate.port(), version=TLS12) as client:
        assert client.cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"
        client.exchange(b"x")


def test_cipher_lists_may_be_one_string(start, backend, certificate):
    tls = {"cipher_suites": "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256", "groups": "P-256:P-384"}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    with connect(headgate.port(), version=TLS13) as client:
        assert client.cipher == "TLS_AES_256_GCM_SHA384"


def test_a_client_whose_first_group_is_not_ours_is_asked_again(start, backend, certificate):
    """HelloRetryRequest: the client's key share is for a group that the listener does not have."""
    headgate = start(proxy(backend().address, certificate, tls={"groups": ["P-384"]}))
    with connect(headgate.port(), version=TLS13) as client:
        client.exchange(b"second try")
    headgate.wait_metric("headgate_hello_retry_requests_total")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_common_group_is_refused_by_name(start, backend, certificate, version):
    headgate = start(proxy(backend().address, certificate, tls={"groups": ["P-384"]}))
    context = python_context(version=version)
    context.set_ecdh_curve("prime256v1")
    with pytest.raises(ssl.SSLError):
        with python_tls(headgate.port(), context=context) as client:
            client.recv(1)
    untold = is_on_awslc() and version == ssl.TLSVersion.TLSv1_2
    headgate.wait_metric("headgate_handshake_failures_total", reason="no_shared_cipher" if untold else "no_shared_group")


LACKING = {"groups": ["no-such-group", "X25519", "Y-MLKEM-1"]}


def lines_about_groups(text):
    return [line for line in text.splitlines() if "lacks the group" in line]


def test_each_group_that_openssl_lacks_is_named_at_the_start_and_at_each_reload(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls=LACKING))
    for count in (1, 2):
        wait_until(lambda: len(lines_about_groups(headgate.output)) == 2 * count, lambda: headgate.output)
        lines = lines_about_groups(headgate.output)
        assert "groups[0]" in lines[-2] and "lacks the group no-such-group" in lines[-2]
        assert "groups[2]" in lines[-1] and "no client gets a post-quantum key exchange" in lines[-1]
        assert all('"level":"warn"' in line for line in lines)
        assert headgate.post("/reload")[0] == 200
    with connect(headgate.port("web")) as client:
        client.exchange(b"hello")


def test_a_group_of_the_defaults_that_openssl_lacks_is_a_warning_only_where_it_is_written(start, tmp_path, certificate):
    """Before OpenSSL 3.5. The log has it as information, and `check` as a note."""
    lacks = openssl_version() < (3, 5) and not is_on_awslc()
    for tls, word in ({}, "note"), ({"groups": ["X25519MLKEM768", "X25519", "P-256", "P-384"]}, "warning"):
        headgate = start(proxy("127.0.0.1:9", certificate, tls=tls))
        assert headgate.post("/reload")[0] == 200
        wait_until(lambda: len(headgate.log_with(message="reloaded")) == 1, lambda: headgate.output)
        levels = [json.loads(line)["level"] for line in lines_about_groups(headgate.output)]
        assert levels == (["info" if word == "note" else "warn"] * 2 if lacks else [])
        told = run(headgate_binary(), "check", "--config", headgate.config_file)
        assert told.returncode == 0
        assert (f": {word}: OpenSSL " in told.stdout) == lacks, told.stdout


def test_check_names_each_group_that_openssl_lacks(tmp_path, certificate):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate, tls=LACKING)))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 0
    assert len(lines_about_groups(told.stdout)) == 2, told.stdout


@pytest.mark.parametrize(
    "tls, key",
    [
        ({"ciphers": "DHE-RSA-AES128-GCM-SHA256"}, "ciphers"),
        ({"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}, "ciphers"),
        ({"ciphers": "DHE-RSA-AES128-SHA256:DHE-RSA-AES256-GCM-SHA384", "max_version": "1.2"}, "ciphers"),
        pytest.param(
            {"cipher_suites": ["TLS_AES_128_CCM_8_SHA256"]},
            "cipher_suites",
            marks=pytest.mark.skipif(openssl_version() < (3, 2), reason="OpenSSL before 3.2 takes CCM_8 for strong"),
        ),
    ],
)
def test_check_refuses_ciphers_with_which_no_handshake_can_succeed(tmp_path, certificate, tls, key):
    """The key is ECDSA, no DH parameters exist, and OpenSSL takes CCM_8 for too weak."""
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate, tls=tls)))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 1
    none_left = "DHE-RSA" in tls.get("ciphers", "").replace("ECDHE", "") and is_on_awslc()
    words = f"{tls[key]}: no cipher match" if none_left else "none of these ciphers works in TLS 1."
    assert f"listeners[0].tls.{key}: {words}" in told.stdout, told.stdout


def test_a_group_may_have_the_name_that_the_metrics_have(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls={"groups": ["secp256r1"]}))
    with connect(headgate.port()) as client:
        client.exchange(b"by secp256r1")
    headgate.wait_metric("headgate_handshakes_negotiated_total", 1, group="secp256r1")


@pytest.mark.parametrize("group", ["P-521", "ffdhe2048", "brainpoolP256r1"])
def test_check_blames_no_ciphers_for_the_groups(tmp_path, certificate, group):
    """TLS 1.2 has no ffdhe2048, TLS 1.3 no brainpoolP256r1: not the ciphers are wrong there."""
    if is_on_awslc() and group != "P-521":
        pytest.skip(f"AWS-LC has no group {group}")
    file = tmp_path / "headgate.yaml"
    tls = {
        "groups": [group],
        "ciphers": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "cipher_suites": ["TLS_AES_128_GCM_SHA256"],
    }
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate, tls=tls)))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 0, told.stdout
    assert "none of these ciphers" not in told.stdout, told.stdout


def test_check_warns_of_ciphers_that_leave_one_of_two_kinds_of_keys_without_use(tmp_path, certificate, rsa_certificate):
    file = tmp_path / "headgate.yaml"
    tls = {"ciphers": "ECDHE-RSA-AES128-GCM-SHA256"}
    file.write_text(json.dumps(proxy("127.0.0.1:9", certificate, rsa_certificate, tls=tls)))
    told = run(headgate_binary(), "check", "--config", file)
    assert told.returncode == 0
    assert "tls.ciphers: warning: none of these ciphers works in TLS 1.2 with the ECDSA P-256 key" in told.stdout


def test_a_dry_run_does_not_count_handshakes_that_fail(start, backend, certificate):
    tls = {"dry_run": ["tls13_only", "pq_only"], "alpn": ["h2"]}
    headgate = start(proxy(backend().address, certificate, tls=tls))
    with pytest.raises(SSL.Error):
        connect(headgate.port(), version=TLS12, alpn=["spdy/1"])
    headgate.wait_metric("headgate_handshakes_total", result="failed")
    assert headgate.metric("headgate_handshakes_would_refuse_total") == 0


def test_tls_compression_is_never_negotiated(echo_proxy):
    with python_tls(echo_proxy.port(), version=ssl.TLSVersion.TLSv1_2) as client:
        assert client.compression() is None


def test_the_record_layer_openssl_serves_the_same_bytes(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": "openssl"}))
    with connect(headgate.port(), version=TLS13) as client:
        client.exchange(b"same")
    assert headgate.metric("headgate_record_layer_connections_total", layer="openssl") == 1
    assert headgate.metric("headgate_record_layer_connections_total", layer="headgate") == 0


def test_a_tls_1_2_connection_stays_with_openssl(echo_proxy):
    with connect(echo_proxy.port(), version=TLS12) as client:
        client.exchange(b"x")
    assert echo_proxy.metric("headgate_record_layer_connections_total", layer="openssl", reason="tls12") == 1


def test_a_second_client_after_a_refused_one_is_served(start, backend, certificate):
    """An error that OpenSSL queued for one connection must not affect the next."""
    headgate = start(proxy(backend().address, certificate, tls={"min_version": "1.3"}, workers=1))
    with connect(headgate.port(), version=TLS13) as first:
        for _ in range(20):
            with pytest.raises(SSL.Error):
                connect(headgate.port(), version=TLS12)
            first.exchange(b"undisturbed")


def test_a_dry_run_counts_whom_each_policy_would_refuse_and_refuses_nobody(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, tls={"dry_run": ["tls13_only", "pq_only"]}))
    refused = "headgate_handshakes_would_refuse_total"
    for policy in ("tls13_only", "pq_only"):
        assert headgate.metric(refused, policy=policy) == 0
    with connect(headgate.port(), version=TLS12) as client:
        client.exchange(b"served all the same")
    headgate.wait_metric(refused, 1, policy="tls13_only", reason="unsupported_version")
    headgate.wait_metric(refused, 1, policy="pq_only", reason="no_shared_group")
    context = python_context(version=ssl.TLSVersion.TLSv1_3)
    context.set_ecdh_curve("prime256v1")
    with python_tls(headgate.port(), context=context) as client:
        client.sendall(b"and so is this one")
        assert client.recv(100)
    headgate.wait_metric(refused, 2, policy="pq_only")
    assert headgate.metric(refused, policy="tls13_only") == 1
