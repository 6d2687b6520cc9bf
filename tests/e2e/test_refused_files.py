"""A certificate file that cannot be used holds nothing else back, and no name is lost by it."""

import datetime
import re

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from harness.authority import DAY, Authority, replace_file
from harness.config import certificate_entry, proxy
from harness.tls_client import connect
from harness.upgrades import Line
from harness.waiting import wait_until

REFUSED = "headgate_certificates_refused"
RELOADS = "headgate_reloads_total"


def served(headgate, name):
    with connect(headgate.port(), sni=name) as client:
        return client.certificate()


def half(path):
    text = path.read_bytes()
    path.write_bytes(text[: len(text) // 2])


def fault_of(headgate, pair):
    (one,) = [one for one in headgate.status()["certificates"] if one["file"] == str(pair.certificate)]
    return one["fault"]


@pytest.fixture
def ours(tmp_path):
    return Authority(tmp_path / "ours")


def test_one_bad_listed_certificate_does_not_hold_back_the_others(start, backend, ours):
    bad, good = ours.issue("bad.test", file="bad"), ours.issue("good.test", file="good")
    headgate = start(proxy(backend().address, bad, good))
    half(bad.certificate)
    renewed = ours.issue("good.test", file="good")
    status, answer = headgate.post("/reload")
    assert status == 422 and '"partly"' in answer and str(bad.certificate) in answer, answer
    assert served(headgate, "good.test") == renewed.x509
    assert served(headgate, "bad.test") == bad.x509
    assert "line" in fault_of(headgate, bad) and fault_of(headgate, good) == ""
    assert headgate.status()["reload"]["last_result"] == "partly"
    assert headgate.metric(RELOADS, result="partly") >= 1 and headgate.metric(RELOADS, result="failed") == 0
    assert headgate.metric(REFUSED, listener="web") == 1
    headgate.wait_fault("bad.crt", message="file refused")
    again = ours.issue("bad.test", file="bad")
    wait_until(lambda: served(headgate, "bad.test") == again.x509, lambda: headgate.output)
    assert headgate.post("/reload")[0] == 200
    assert headgate.metric(REFUSED, listener="web") == 0 and fault_of(headgate, again) == ""


def test_a_bad_listed_certificate_is_a_fault_at_the_start(start, backend, ours):
    bad, good = ours.issue("bad.test"), ours.issue("good.test")
    half(bad.certificate)
    headgate = start(proxy(backend().address, bad, good), wait=False)
    headgate.expected_exit = 1
    assert headgate.wait_exit() == 1
    assert str(bad.certificate) in headgate.output


def test_a_listed_certificate_that_loses_a_name_keeps_the_old_one_beside_a_directory(start, backend, ours, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    old, other = ours.issue("one.test", "two.test", file="web"), ours.issue("other.test", file="other")
    headgate = start(proxy(backend().address, old, other, tls={"certificate_dirs": [str(many)]}))
    ours.issue("one.test", file="web")
    renewed = ours.issue("other.test", file="other")
    status, answer = headgate.post("/reload")
    assert status == 422 and "two.test" in answer, answer
    assert served(headgate, "two.test") == old.x509
    assert served(headgate, "other.test") == renewed.x509
    assert "two.test" in fault_of(headgate, old)


def test_a_wildcard_covers_the_names_below_it(start, backend, ours):
    headgate = start(proxy(backend().address, ours.issue("a.app.test", "b.app.test", file="web")))
    renewed = ours.issue("*.app.test", file="web")
    assert headgate.post("/reload")[0] == 200
    assert served(headgate, "b.app.test") == renewed.x509


def test_a_backends_bad_client_certificate_holds_back_no_renewal(start, backend, ours):
    own, bad = ours.issue("app.test", file="web"), ours.issue(client=True, file="own")
    config = proxy(backend().address, own)
    # No client connects there: the test is about the files that are read.
    config["backends"]["secured"] = {
        "servers": ["127.0.0.1:1"],
        "tls": {"server_name": "a.test", "ca": str(ours.file), **certificate_entry(bad)},
    }
    headgate = start(config)
    half(bad.certificate)
    renewed = ours.issue("app.test", file="web")
    status, answer = headgate.post("/reload")
    assert status == 422 and str(bad.certificate) in answer, answer
    assert served(headgate, "app.test") == renewed.x509


def staple(authority, pair, path):
    now = datetime.datetime.now(datetime.UTC)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=pair.x509, issuer=authority.certificate, algorithm=hashes.SHA256(), cert_status=ocsp.OCSPCertStatus.GOOD,
        this_update=now - DAY, next_update=now + DAY, revocation_time=None, revocation_reason=None,
    ).responder_id(ocsp.OCSPResponderEncoding.HASH, authority.certificate)
    replace_file(path, builder.sign(authority._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))


def test_the_staple_of_the_certificate_before_holds_back_no_renewal(start, backend, ours, tmp_path):
    pair = ours.issue("app.test", file="web")
    file = tmp_path / "staple.der"
    staple(ours, pair, file)
    config = proxy(backend().address)
    config["listeners"][0]["tls"]["certificates"] = [{**certificate_entry(pair), "ocsp_staple": str(file)}]
    headgate = start(config)
    renewed = ours.issue("app.test", file="web")
    wait_until(lambda: served(headgate, "app.test") == renewed.x509, lambda: headgate.output)


@pytest.mark.parametrize("fault", ["half", "gone", "other_key", "other_name"])
def test_an_upgrade_keeps_the_certificate_of_a_file_that_cannot_be_used(start, backend, ours, fault):
    bad, good = ours.issue("bad.test", file="bad"), ours.issue("good.test", file="good")
    headgate = start(proxy(backend().address, bad, good))
    if fault == "half":
        half(bad.certificate)
    elif fault == "gone":
        bad.certificate.unlink()
    elif fault == "other_key":
        replace_file(bad.key, good.key.read_bytes(), mode=0o600)
    else:
        ours.issue("another.test", file="bad")
    Line(headgate).upgrade()
    assert served(headgate, "bad.test") == bad.x509
    assert served(headgate, "good.test") == good.x509
    assert fault_of(headgate, bad) != ""
    renewed = ours.issue("bad.test", file="bad")
    wait_until(lambda: served(headgate, "bad.test") == renewed.x509, lambda: headgate.output)


def write_into(directory, pair, name):
    replace_file(directory / name, pair.certificate.read_bytes() + pair.key.read_bytes(), mode=0o600)


def test_an_upgrade_keeps_what_a_half_written_file_of_a_directory_held(start, backend, ours, certificate, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    pair = ours.issue("many.test")
    write_into(many, pair, "one.pem")
    headgate = start(proxy(backend().address, certificate, tls={"certificate_dirs": [str(many)]}))
    half(many / "one.pem")
    headgate.wait_metric("headgate_file_faults_total", fault="damaged")
    wait_until(lambda: headgate.metric(REFUSED, listener="web") == 1, lambda: headgate.metrics())
    (one,) = [one for one in headgate.status()["certificates"] if one["file"] == str(many / "one.pem")]
    assert one["fault"] != ""
    Line(headgate).upgrade()
    assert served(headgate, "many.test") == pair.x509


def test_a_directory_that_goes_away_and_returns_loses_no_name(start, backend, ours, certificate, tmp_path):
    many, away = tmp_path / "many", tmp_path / "away"
    many.mkdir()
    pair = ours.issue("many.test")
    write_into(many, pair, "one.pem")
    headgate = start(proxy(backend().address, certificate, tls={"certificate_dirs": [str(many)]}))
    many.rename(away)
    status, answer = headgate.post("/reload")
    assert status == 422 and str(many) in answer, answer
    assert served(headgate, "many.test") == pair.x509
    renewed = ours.issue("many.test")
    write_into(away, renewed, "one.pem")
    away.rename(many)
    wait_until(lambda: served(headgate, "many.test") == renewed.x509, lambda: headgate.output)


def test_a_certificate_that_is_not_valid_yet_is_taken_when_its_time_comes(start, backend, ours):
    old = ours.issue("app.test", file="web")
    headgate = start(proxy(backend().address, old))
    soon = ours.issue("app.test", file="web", not_before=datetime.timedelta(seconds=6))
    headgate.post("/reload")
    wait_until(lambda: served(headgate, "app.test") == soon.x509, lambda: headgate.output)


def test_of_two_certificates_for_a_name_the_one_that_ends_last_is_served(start, backend, ours):
    first, last = ours.issue("app.test", not_after=30 * DAY), ours.issue("app.test", not_after=60 * DAY)
    headgate = start(proxy(backend().address, first, last))
    assert served(headgate, "app.test") == last.x509


def test_an_expired_certificate_gives_way_to_a_valid_one(start, backend, ours, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    # The key of the first is the cheaper one: validity comes before that.
    first = ours.issue("app.test", not_after=datetime.timedelta(seconds=8))
    second = ours.issue("app.test", key="p384", not_after=60 * DAY)
    write_into(many, first, "a.pem")
    write_into(many, second, "b.pem")
    headgate = start(proxy(backend().address, tls={"certificate_dirs": [str(many)]}))
    wait_until(lambda: served(headgate, "app.test") == second.x509, lambda: headgate.output)
    headgate.wait_log(message="a certificate has expired", certificate=str(many / "a.pem"))


def test_readyz_asks_for_every_name_where_that_is_wanted(start, backend, ours, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    pair = ours.issue("app.test")
    config = proxy(
        backend().address, pair, tls={"certificate_dirs": [str(many)]}, admin={"bind": "127.0.0.1:0", "ready": "every_name"}
    )
    config["listeners"][0]["routes"] = [{"sni": ["api.test"], "backend": "app"}]
    headgate = start(config, wait=False)
    headgate.wait_log(message="admin listening")

    def is_not_ready(why):
        status, answer = headgate.get("/readyz")
        return status == 503 and re.search(why, answer)

    # At first it may say that it does not serve yet.
    wait_until(lambda: is_not_ready(r"no valid certificate for api\.test"), lambda: headgate.output)
    write_into(many, ours.issue("api.test"), "api.pem")
    wait_until(lambda: headgate.get("/readyz")[0] == 200, lambda: headgate.output)
    (many / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    wait_until(lambda: is_not_ready(r"half\.pem"), lambda: headgate.output)


def test_readyz_asks_for_no_name_by_default(start, backend, ours):
    config = proxy(backend().address, ours.issue("app.test"))
    config["listeners"][0]["routes"] = [{"sni": ["api.test"], "backend": "app"}]
    headgate = start(config)
    assert headgate.get("/readyz")[0] == 200
