"""`openssl s_client` with every group, cipher and signature that the configuration can name."""

import re

import pytest

from harness.backends import saying
from harness.config import proxy
from harness.dialogue import Dialogue
from harness.tools import is_on_awslc, openssl_version, tool

SUITES = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]

CIPHERS = [
    f"ECDHE-{key}-{aead}"
    for key in ("ECDSA", "RSA")
    for aead in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
]

# The name in our configuration, s_client's name for -groups, and how s_client shows it. The OpenSSL of Debian 12 has
# no post-quantum group, so neither side of a test on it could speak it.
GROUPS = [("X25519", "X25519", "X25519"), ("P-256", "P-256", "prime256v1|secp256r1"), ("P-384", "P-384", "secp384r1")]
if openssl_version() >= (3, 5):
    GROUPS.append(("X25519MLKEM768", "X25519MLKEM768", "X25519MLKEM768"))


def s_client(headgate, *options):
    return Dialogue(
        tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", *options
    )


def exchange(client, text="over and back"):
    """Sends a line to the echo and awaits it. s_client prints the bytes that it receives, not those that it sends."""
    client.expect("Verify return code")
    client.say(text + "\n")
    client.expect(text)


@pytest.mark.parametrize("ours, theirs, shown", GROUPS, ids=[group[0] for group in GROUPS])
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_every_group_is_spoken(
    start, backend, certificate, rsa_certificate, record_layer, ours, theirs, shown, version
):
    """In TLS 1.2 the groups also limit the curve of the certificate. So clients without P-256 get a certificate with
    RSA."""
    if ours == "X25519MLKEM768" and version == "-tls1_2":
        version = "-tls1_3"  # a group of TLS 1.3 alone; naming it once more does no harm
    headgate = start(proxy(backend().address, certificate, rsa_certificate, tls={"record_layer": record_layer}))
    with s_client(headgate, version, "-groups", theirs) as client:
        exchange(client)
        assert re.search(shown, client.heard), client.heard
    assert headgate.metrics().matching("headgate_handshakes_negotiated_total")


@pytest.mark.parametrize("group", [group[0] for group in GROUPS])
def test_a_listener_of_one_group_speaks_it(start, backend, certificate, group):
    headgate = start(proxy(backend().address, certificate, tls={"groups": [group]}))
    with s_client(headgate) as client:
        exchange(client)


@pytest.mark.parametrize("suite", SUITES)
def test_every_tls_1_3_suite_is_spoken(start, backend, certificate, record_layer, suite):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    with s_client(headgate, "-tls1_3", "-ciphersuites", suite) as client:
        exchange(client, "short")
        exchange(client, "long" * 1000)
        assert suite in client.heard
    layer = "headgate" if record_layer == "auto" else "openssl"
    assert headgate.metric("headgate_record_layer_connections_total", layer=layer) == 1


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_tls_1_2_cipher_is_spoken(start, backend, certificate, rsa_certificate, cipher):
    headgate = start(proxy(backend().address, certificate, rsa_certificate))
    with s_client(headgate, "-tls1_2", "-cipher", cipher) as client:
        exchange(client)
        assert cipher in client.heard


@pytest.mark.parametrize(
    "cipher", ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"]
)
def test_ciphers_without_forward_secrecy_or_aead_are_refused(start, backend, certificate, rsa_certificate, cipher):
    headgate = start(proxy(backend().address, certificate, rsa_certificate))
    with s_client(headgate, "-tls1_2", "-cipher", cipher) as client:
        assert client.expect_end() != 0
        assert "alert" in client.heard


def test_the_chain_verifies(start, backend, certificate, authority):
    headgate = start(proxy(backend().address, certificate))
    options = ["-CAfile", authority.file, "-verify_hostname", "app.test", "-verify_return_error"]
    with s_client(headgate, *options) as client:
        client.expect("Verify return code: 0 (ok)")


def test_secure_renegotiation_is_not_to_be_had(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    with s_client(headgate, "-tls1_2") as client:
        exchange(client)
        client.say("R\n")
        client.expect("RENEGOTIATING")
        client.expect_end()


@pytest.mark.parametrize(
    "option", ["-bugs", "-no_ticket", "-nocommands", "-legacy_renegotiation", "-max_send_frag=512"]
)
def test_an_unusual_client_is_served(start, backend, certificate, option):
    headgate = start(proxy(backend().address, certificate))
    with s_client(headgate, *option.split("=")) as client:
        exchange(client)


def test_records_padded_by_the_client_are_read(start, backend, certificate, record_layer):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    with s_client(headgate, "-tls1_3", "-record_padding", "512") as client:
        exchange(client)


@pytest.mark.parametrize("length", [512, 4096])
def test_a_client_that_takes_short_records_alone_gets_no_longer_ones(start, backend, certificate, record_layer, length):
    """RFC 6066's max_fragment_length, which clients with little memory ask for; s_client ends at a longer record."""
    if is_on_awslc():
        pytest.skip("AWS-LC passes over max_fragment_length")
    content = b"z" * 100_000 + b"all of it\n"
    headgate = start(proxy(backend(saying(content)).address, certificate, tls={"record_layer": record_layer}))
    with s_client(headgate, "-tls1_3", "-maxfraglen", length, "-msg") as client:
        client.expect("all of it")
        assert client.expect_end() == 0
        assert client.heard.count("<<< TLS 1.3, InnerContent") > 100_000 // length
    if record_layer == "auto":
        assert headgate.metric("headgate_record_layer_connections_total", reason="max_fragment_length") == 1


@pytest.mark.parametrize("count", [0, 1, 2, 10])
def test_as_many_tickets_come_as_configured(start, backend, certificate, record_layer, count):
    tls = {"record_layer": record_layer, "resumption": {"per_connection": count}}
    headgate = start(proxy(backend(saying(b"the answer\n")).address, certificate, tls=tls))
    with s_client(headgate, "-tls1_3") as client:
        client.expect("the answer")  # the lines of the session come in front of the answer
        assert client.expect_end() == 0
        assert client.heard.count("New Session Ticket arrived") == count
    assert headgate.metric("headgate_sessions_tickets_total", event="issued") == count


def test_a_session_of_a_suite_that_stays_with_openssl_is_resumed(start, backend, certificate, tmp_path):
    if is_on_awslc():
        pytest.skip("AWS-LC has no suite with CCM")
    suite = "TLS_AES_128_CCM_SHA256"
    headgate = start(proxy(backend().address, certificate, tls={"cipher_suites": [suite]}))
    session = tmp_path / "session"
    with s_client(headgate, "-tls1_3", "-ciphersuites", suite, "-sess_out", session) as client:
        exchange(client)
    with s_client(headgate, "-tls1_3", "-ciphersuites", suite, "-sess_in", session) as client:
        exchange(client)
        assert "Reused, TLSv1.3" in client.heard
    metric = "headgate_record_layer_connections_total"
    assert headgate.metric(metric, layer="openssl", reason="unsupported_cipher") == 2


def test_s_client_sees_a_clean_end(start, backend, certificate, record_layer):
    headgate = start(proxy(backend(saying(b"all of it\n")).address, certificate, tls={"record_layer": record_layer}))
    with s_client(headgate, "-tls1_3") as client:
        client.expect("all of it")
        assert client.expect_end() == 0
        assert "closed" in client.heard


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_s_client_shows_a_client_certificate(start, backend, certificate, authority, version):
    client_auth = {"mode": "required", "ca": str(authority.file), "allow": {"dns": ["openssl.test"]}}
    headgate = start(proxy(backend().address, certificate, tls={"client_auth": client_auth}))
    ours = authority.issue("openssl.test", client=True)
    with s_client(headgate, version, "-cert", ours.certificate, "-key", ours.key) as client:
        exchange(client, "by its name")
