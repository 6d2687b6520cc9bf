"""An OCSP response from a file: stapled while it is good, renewed with its file, and never fetched."""

import datetime
import re

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from harness.authority import replace_file
from harness.config import certificate_entry, proxy
from harness.tls_client import TLS12, TLS13, TlsClient, connect
from harness.tools import run, tool
from harness.waiting import wait_until

SERVED = "headgate_ocsp_staples_served_total"


class Responder:
    """Writes OCSP responses about one certificate to a file."""

    def __init__(self, authority, pair, file):
        self.authority, self.pair, self.file = authority, pair, file

    def write(self, seconds=3600, status=ocsp.OCSPCertStatus.GOOD, about=None):
        now = datetime.datetime.now(datetime.UTC).replace(microsecond=0, tzinfo=None)
        revoked = status == ocsp.OCSPCertStatus.REVOKED
        response = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=(about or self.pair).x509,
                issuer=self.authority.certificate,
                algorithm=hashes.SHA1(),
                cert_status=status,
                this_update=now - datetime.timedelta(hours=1),
                next_update=now + datetime.timedelta(seconds=seconds),
                revocation_time=now - datetime.timedelta(hours=1) if revoked else None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.authority.certificate)
            .sign(self.authority._key, hashes.SHA256())
        )
        replace_file(self.file, response.public_bytes(serialization.Encoding.DER))


def with_staple(address, pair, responder):
    entry = {**certificate_entry(pair), "ocsp_staple": str(responder.file)}
    return proxy(address, tls={"certificates": [entry]})


@pytest.fixture
def responder(authority, certificate, tmp_path):
    return Responder(authority, certificate, tmp_path / "staple.der")


@pytest.fixture
def stapling(start, backend, certificate, responder):
    return lambda: start(with_staple(backend().address, certificate, responder))


def stapled(headgate, *options):
    """The next update of the staple that the client gets, or nothing."""
    told = run(tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", "-status", *options)
    found = re.search(r"OCSP Response Status: successful.*?Next Update: ([^\n]*)", told.stdout, re.DOTALL)
    assert found or "OCSP response: no response sent" in told.stdout, told.stdout
    return found and found.group(1)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_that_asks_gets_it_and_is_counted(stapling, responder, version):
    responder.write()
    headgate = stapling()
    assert stapled(headgate, version)
    headgate.wait_metric(SERVED, 1, listener="web")
    assert headgate.metric("headgate_ocsp_staples_expired_total") == 0
    with connect(headgate.port()) as client:
        client.exchange(b"without a staple")
    assert headgate.metric(SERVED) == 1, "this client asked for none"


def test_a_client_that_is_told_to_try_another_group_is_counted_once(stapling, responder):
    responder.write()
    headgate = stapling()
    assert stapled(headgate, "-groups", "P-521:P-384")
    headgate.wait_metric(SERVED, 1)
    assert headgate.metric("headgate_hello_retry_requests_total") == 1


def asking(headgate, version, session=None):
    """The session of a client that asks for a staple."""
    with TlsClient(headgate.port(), version=version, session=session) as client:
        client.tls.request_ocsp()
        client.handshake().exchange(b"with a staple")
        session = client.tls.get_session()
        client.end_writing()  # OpenSSL takes a session back whose connection broke off
        return session


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["tls12", "tls13"])
def test_a_resumed_session_gets_none_and_is_not_counted(stapling, responder, version):
    responder.write()
    headgate = stapling()
    session = asking(headgate, version)
    headgate.wait_metric(SERVED, 1)
    asking(headgate, version, session)
    headgate.wait_metric("headgate_handshakes_total", 1, result="ok", resumed="yes")
    assert headgate.metric(SERVED) == 1


def test_staples_are_counted_after_a_reload_and_an_upgrade(line, backend, certificate, responder):
    responder.write()
    config = with_staple(backend().address, certificate, responder)
    running = line(config)
    headgate = running.headgate
    assert stapled(headgate)
    config["listeners"][0]["timeouts"] = {"idle": "1m"}
    headgate.write_config(config)
    assert headgate.post("/reload")[0] == 200
    assert stapled(headgate)
    headgate.wait_metric(SERVED, 2)
    running.upgrade()
    assert stapled(headgate)
    headgate.wait_metric(SERVED, 1)


def test_a_renewed_one_is_served_from_then_on(stapling, responder):
    responder.write(seconds=3600)
    headgate = stapling()
    before = stapled(headgate)
    responder.write(seconds=7200)
    wait_until(lambda: stapled(headgate) not in (before, None), "the new response is stapled")


def test_one_that_expires_while_it_is_in_use_is_served_no_more_and_counted(stapling, responder):
    responder.write(seconds=4)
    headgate = stapling()
    assert stapled(headgate)
    wait_until(lambda: stapled(headgate) is None, "the expired response is left out")
    headgate.wait_metric("headgate_ocsp_staples_expired_total")


def test_one_that_has_expired_already_is_warned_about_and_not_served(stapling, responder):
    responder.write(seconds=-60)
    headgate = stapling()
    assert stapled(headgate) is None
    assert "OCSP response has expired" in headgate.output


@pytest.mark.parametrize("what", ["revoked", "another"])
def test_one_that_does_not_vouch_for_the_certificate_is_refused_and_the_old_one_stays(
    stapling, responder, authority, what
):
    responder.write()
    headgate = stapling()
    before = stapled(headgate)
    if what == "revoked":
        responder.write(status=ocsp.OCSPCertStatus.REVOKED)
    else:
        responder.write(about=authority.issue("other.test"))
    status, answer = headgate.post("/reload")
    assert status != 200, answer
    assert stapled(headgate) == before
