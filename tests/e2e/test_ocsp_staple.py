"""An OCSP response from a file: stapled while it is good, renewed with its file, and never fetched."""

import datetime
import re

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from harness.authority import replace_file
from harness.config import certificate_entry, proxy
from harness.tools import run, tool
from harness.waiting import wait_until


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


@pytest.fixture
def responder(authority, certificate, tmp_path):
    return Responder(authority, certificate, tmp_path / "staple.der")


@pytest.fixture
def stapling(start, backend, certificate, responder):
    entry = {**certificate_entry(certificate), "ocsp_staple": str(responder.file)}
    return lambda: start(proxy(backend().address, tls={"certificates": [entry]}))


def stapled(headgate, *options):
    """The next update of the staple that the client gets, or nothing."""
    told = run(tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", "-status", *options)
    found = re.search(r"OCSP Response Status: successful.*?Next Update: ([^\n]*)", told.stdout, re.DOTALL)
    assert found or "OCSP response: no response sent" in told.stdout, told.stdout
    return found and found.group(1)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_client_that_asks_gets_it(stapling, responder, version):
    responder.write()
    headgate = stapling()
    assert stapled(headgate, version)
    assert headgate.metric("headgate_ocsp_staples_expired_total") == 0


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
