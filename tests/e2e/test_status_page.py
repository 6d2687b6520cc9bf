"""The status page in headless Chromium, while traffic runs."""

import contextlib
import json
import re
import ssl

import pytest

from harness.authority import DAY
from harness.browser import Browser
from harness.config import proxy
from harness.tls_client import (
    TLS12, TLS13, connect, handshake_alert, python_context, python_tls, raw_socket, read_to_end, visit,
)  # fmt: skip
from harness.waiting import wait_until

pytestmark = pytest.mark.once

PHONE = {"size": (390, 844), "mobile": True}
FEW_NODES = 3000  # of the whole page; a thousand certificates must not multiply it


@contextlib.contextmanager
def page_of(headgate, **look):
    """The page after it has drawn. An error of the page or of its policy fails the test."""
    with Browser(**look) as browser:
        browser.open(f"http://{headgate.admin_address}/")
        browser.wait("document.querySelectorAll('.tile').length === 7")
        yield browser
        assert browser.complaints == []


def failing(port, authority):
    """Makes one failure of each kind: the client sends an alert, there is no cipher in common, and a client speaks no
    TLS."""
    with contextlib.suppress(ssl.SSLError):
        python_tls(port, ca=authority.file, sni="somebody-else.test")
    handshake_alert(port, version=TLS12, ciphers="AES128-SHA")
    with raw_socket(port) as client:
        client.sendall(b"\xff" * 100)
        read_to_end(client)


def texts(browser, selector):
    return browser.value(f"[...document.querySelectorAll({json.dumps(selector)})].map(one => one.innerText)")


def rows(browser, part):
    """The rows of a table, without its head; the lines of a row joined."""
    return [re.sub(r"\s+", " ", row).strip() for row in texts(browser, f"#{part} tr")[1:]]


def bars(browser, part):
    """{label: value} of a list of bars."""
    return dict(zip(texts(browser, f"#{part} .bar > span"), texts(browser, f"#{part} .bar > b")))


def test_handshakes_are_shown_by_result_and_resumption_and_latency_by_phase(start, backend, certificate, authority):
    headgate = start(proxy(backend().address, certificate))
    with page_of(headgate) as browser:
        assert [name.rstrip(" 0") for name in texts(browser, "#handshakes .legend span")] == [
            "ok", "ok, resumed", "failed", "timed out", "shed", "probes",
        ]  # fmt: skip
        context = python_context()
        for _ in range(3):
            _, session = visit(headgate.port(), context)
        for _ in range(5):
            assert visit(headgate.port(), context, session)[0]
        failing(headgate.port(), authority)
        for key in ("full", "resumed", "failed"):
            browser.wait(f"rates('handshakes', '{key}').some(rate => rate > 0)")
        browser.wait("document.getElementById('latency-about').innerText === '8 successful handshakes'")
        phases = texts(browser, "#latency .phase")
        assert [text.split("\n")[0] for text in phases] == ["total", "queue", "cpu", "peer"]
        for text in phases:
            assert re.search(r"p50 [\d.]+ (µs|ms|s)", text) and re.search(r"p99 [\d.]+ (µs|ms|s)", text), text
        drawn = "[...document.querySelectorAll('#latency .phase:first-child rect')].map(one => +one.getAttribute('height'))"
        assert any(height > 0 for height in browser.value(drawn))


def test_failures_are_shown_by_reason_and_alert(start, backend, certificate, authority):
    headgate = start(proxy(backend().address, certificate))
    with page_of(headgate) as browser:
        assert "None has failed" in browser.text("#failures")
        for _ in range(2):
            failing(headgate.port(), authority)
        wanted = {"no shared cipher · handshake failure": "2", "not tls · unexpected message": "2"}
        wait_until(lambda: wanted.items() <= bars(browser, "failures").items(), lambda: bars(browser, "failures"))
        assert any(label.startswith("peer alert · ") for label in bars(browser, "failures"))


def test_connections_bytes_and_workers_are_live(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate, workers=2))
    with page_of(headgate) as browser, contextlib.ExitStack() as held:
        clients = [held.enter_context(connect(headgate.port())) for _ in range(7)]
        for client in clients:
            client.exchange(b"x" * 50_000)
        browser.wait("document.getElementById('connections-about').innerText === '7 open'")
        for direction in ("from_client", "to_client"):
            browser.wait(f"rates('bytes', '{direction}').some(rate => rate > 0)")
        assert sorted(bars(browser, "workers")) == ["worker 0", "worker 1"]
        assert all(re.fullmatch(r"[\d.]+ %", value) for value in bars(browser, "workers").values())
        held.close()
        browser.wait("document.getElementById('connections-about').innerText === '0 open'")


def test_one_listener_may_be_looked_at_alone(start, backend, certificate):
    config = proxy(backend().address, certificate)
    config["listeners"].append({**config["listeners"][0], "name": "other"})
    headgate = start(config)
    with page_of(headgate) as browser, connect(headgate.port("other")) as client:
        client.exchange(b"x")
        for listener, count in (("web", 0), ("other", 1), ("", 1)):
            browser.value(
                "(choice => { choice.value = %s; choice.dispatchEvent(new Event('change')); })"
                "(document.getElementById('listener'))" % json.dumps(listener)
            )
            browser.wait(f"document.getElementById('connections-about').innerText === '{count} open'")
        browser.value("[...document.querySelectorAll('#listeners button')].find(one => one.innerText === 'web').click()")
        browser.wait("document.getElementById('connections-about').innerText === '0 open'")
        assert browser.value("document.getElementById('listener').value") == "web"
        browser.value("document.querySelector('#listeners button[aria-pressed=true]').click()")
        browser.wait("document.getElementById('connections-about').innerText === '1 open'")


def test_certificates_of_one_name_tell_themselves_apart(start, backend, authority):
    both = [authority.issue("app.test"), authority.issue("app.test", key="rsa")]
    headgate = start(proxy(backend().address, *both))
    with page_of(headgate) as browser:
        found = rows(browser, "certificates")
        assert len(found) == 2
        for pair in both:
            assert any(f"web · {pair.certificate}" in row for row in found), found


def test_versions_and_key_exchanges_are_shown_as_shares(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    with page_of(headgate) as browser:
        assert "No handshake has succeeded" in browser.text("#negotiated")
        for version in (TLS12, TLS12, TLS12, TLS13):
            with connect(headgate.port(), version=version):
                pass
        wanted = {"TLSv1.2": "75 %", "TLSv1.3": "25 %", "no": "100 %"}
        wait_until(lambda: wanted.items() <= bars(browser, "negotiated").items(), lambda: bars(browser, "negotiated"))


def history(headgate, listener=""):
    return json.loads(headgate.get(f"/history.json?listener={listener}")[1])


@pytest.mark.slow
def test_an_event_before_the_page_was_opened_is_on_it(start, certificate, refusing):
    """Every connection ended with `backend_connect_failed`, while no handshake failed. The history is 10 s behind."""
    headgate = start(proxy(refusing, certificate, app={"ejection": {"failures": 100}}))
    wait_until(lambda: len(history(headgate, "web")["open"]) > 0, "the first step", seconds=30)
    for _ in range(3):
        with python_tls(headgate.port()) as client:
            with contextlib.suppress(OSError):
                client.recv(1)
    wait_until(lambda: "backend_connect_failed" in history(headgate)["ends"], "the event", seconds=30)
    assert sum(history(headgate, "web")["ends"]["backend_connect_failed"]["counts"]) == 3
    assert sum(history(headgate)["handshakes"]["full"]) == 3
    with page_of(headgate) as browser:
        browser.wait("document.getElementById('ends').innerText.includes('backend connect failed · backend')")
        assert bars(browser, "ends")["backend connect failed · backend"] == "3"
        tiles = dict(zip(texts(browser, ".tile span"), texts(browser, ".tile b")))
        assert tiles["connections end in failure"] == "100 %" and tiles["of them fail"] == "0 %"
        browser.wait("moments().some(one => one.step !== undefined) && samples.length > 1")
        oldest = "[...document.querySelectorAll('#handshakes text')].at(-2).textContent"
        assert browser.value(oldest) == "5 min ago"
        browser.value("(box => { box.value = '3600000'; box.dispatchEvent(new Event('change')); })(document.getElementById('range'))")
        assert browser.value(oldest) == "1 hour ago"
        assert "last hour" in browser.text("#ends-about")


def test_the_last_reload_and_its_faults_are_shown(start, backend, certificate):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    with page_of(headgate) as browser:
        assert "not reloaded since" in browser.text("#reload")
        headgate.write_config({**config, "wrokers": 2})
        assert headgate.post("/reload")[0] == 422
        browser.wait("document.getElementById('faults').innerText.includes('wrokers')")
        assert "failed" in browser.text("#reload")
        headgate.write_config(config)
        assert headgate.post("/reload")[0] == 200
        browser.wait("document.getElementById('reload').innerText.includes('ago: ok')")
        assert browser.text("#faults") == ""


@pytest.mark.parametrize(("query", "what"), [("", "process"), ("listener=web&", "listener web")])
def test_the_progress_of_a_drain_is_shown(start, backend, certificate, query, what):
    headgate = start(proxy(backend().address, certificate))
    with page_of(headgate) as browser, contextlib.ExitStack() as held:
        clients = [held.enter_context(connect(headgate.port())) for _ in range(4)]
        for client in clients:
            client.exchange(b"x")
        assert headgate.post(f"/drain?{query}deadline=20m")[0] == 200
        said = "document.getElementById('drain').innerText"
        browser.wait(f"{said}.includes('Draining {what}: 4 of 4 connections remain')")
        assert "cut in 20 min" in browser.text("#drain")
        assert browser.text("#ready") == ("draining" if what == "process" else "ready")
        clients[0].exchange(b"busy" * 1000)
        browser.wait(f"{said}.includes('7.8 KiB carried meanwhile')")
        for client in clients[2:]:
            client.end_writing()
            client.recv_to_end()
        browser.wait(f"{said}.includes('2 of 4 connections remain') && {said}.includes('50 %')")


def crowded(backend, authority, refusing, certificates=1000, servers=200):
    """A configuration with many of both. Certificate 3 ends in 30 hours, 700 in five days, 4 in twelve; server 123 is down.

    Certificate 5 ends in three days, but has more than a quarter of its life left, so it is no warning."""
    ends = {3: 1.26 * DAY, 700: 5.5 * DAY, 4: 12.5 * DAY, 5: 3.5 * DAY}
    held = [
        authority.issue(
            f"name-{i}.test",
            not_before=-60 * DAY if i in ends and i != 5 else -DAY,
            not_after=ends.get(i, (90 + i % 200) * DAY),
        )
        for i in range(certificates)
    ]
    address = backend().address
    config = proxy(address, *held)
    for number in range(servers - 1):
        config["backends"][f"team-{number}"] = {"servers": [address]}
    checked = {"type": "tcp", "interval": "100ms", "fall": 1}
    config["backends"]["team-123"] = {"servers": [refusing], "health_check": checked}
    return config


@pytest.mark.slow
def test_a_thousand_certificates_and_200_backends_stay_small_and_what_needs_attention_is_first(
    start, backend, authority, refusing, record_property
):
    headgate = start(crowded(backend, authority, refusing))
    headgate.wait_metric("headgate_backend_up", 0, server=refusing)
    with page_of(headgate) as browser:
        browser.wait("document.getElementById('attention').innerText.includes('down')")
        assert set(texts(browser, "#attention a")) == {
            "1 of 200 servers down", "2 certificates end within 7 days", "1 certificates expire soon",
        }  # fmt: skip
        assert rows(browser, "backends")[0].startswith(f"team-123 {refusing} ")
        assert "refused" in rows(browser, "backends")[0] and "down" in rows(browser, "backends")[0]
        first = rows(browser, "certificates")[:5]
        assert [row.split()[0] for row in first[:4]] == ["name-3.test", "name-5.test", "name-700.test", "name-4.test"], first
        assert [row.split()[-1] for row in first[1:]] == ["3", "5", "12", "89"] and re.search(r"(29|30) h$", first[0]), first
        assert "1,000 held" in browser.text("#certificates-about")
        assert browser.value("document.querySelectorAll('#backends .cell').length") == 200
        assert browser.value("document.getElementsByTagName('*').length") < FEW_NODES

        browser.value(
            "(box => { box.value = 'NAME-555'; box.dispatchEvent(new Event('input')); })"
            "(document.getElementById('certificate-filter'))"
        )
        assert [row.split()[0] for row in rows(browser, "certificates")] == ["name-555.test"]

        sent = [url.partition(headgate.admin_address)[2] for url in browser.requests]
        sizes = {path: len(headgate.get(path)[1]) for path in set(sent)}
        browser.wait(f"{len(sent)} > 0 && samples.length > 2")
        whole = [url for url in browser.requests if url.endswith("/status.json")]
        assert len(whole) == 1, "the thousand certificates are not asked for with each poll"
        often = {path: size for path, size in sizes.items() if "?" in path}
        record_property("bytes_per_poll", sum(often.values()))
        assert len(often) == 3 and sum(often.values()) < 100_000, sizes


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(start, backend, certificate, authority, refusing, scheme):
    """With names and addresses of the greatest length."""
    name = "a-rather-long-name-of-some-customers-service.in-a-region.example"
    config = proxy(backend().address, authority.issue(name))
    config["listeners"][0]["name"] = "the-listener-of-a-rather-long-name-for-customers"
    config["backends"]["the-backend-of-a-rather-long-name-for-customers"] = {"servers": [refusing]}
    headgate = start(config)
    headgate.write_config({**config, "x" * 300: 1})
    assert headgate.post("/reload")[0] == 422
    with page_of(headgate, scheme=scheme, **PHONE) as browser:
        browser.wait("document.getElementById('faults').innerText.includes('xxx')")
        assert browser.value("document.documentElement.scrollWidth") == 390
        wide = browser.value(
            "[...document.querySelectorAll('main *')].filter(one => one.getBoundingClientRect().right > 391"
            " && !one.closest('.scroll, td, .bar')).map(one => one.outerHTML.slice(0, 100))"
        )
        assert wide == []


def test_light_and_dark_follow_the_system(echo_proxy):
    """In both themes the text has a contrast of 7:1 to its ground, which people can read (WCAG 2)."""
    grounds = set()
    for scheme in ("light", "dark"):
        with page_of(echo_proxy, scheme=scheme) as browser:
            text, ground = (
                browser.value(f"getComputedStyle(document.body).{name}.match(/\\d+/g).map(Number)")
                for name in ("color", "backgroundColor")
            )
            grounds.add(tuple(ground))
            lighter, darker = sorted((luminance(text), luminance(ground)), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) > 7
    assert len(grounds) == 2


def luminance(rgb):
    linear = [c / 3294.6 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in rgb[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_nothing_is_fetched_from_elsewhere_and_the_policy_would_stop_it(echo_proxy):
    with page_of(echo_proxy) as browser:
        browser.wait("samples.length > 1")
        assert {url.split("/")[2] for url in browser.requests} == {echo_proxy.admin_address}
        refused = browser.value(
            "new Promise(done => { addEventListener('securitypolicyviolation', event => done(event.violatedDirective));"
            " fetch('http://127.0.0.1:9/').catch(() => 0); })"
        )
        assert refused == "connect-src"
        browser.complaints.clear()


def test_markup_in_what_is_shown_is_text(start, backend, certificate):
    config = proxy(backend().address, certificate)
    headgate = start(config)
    headgate.write_config({**config, "<img src=x onerror=document.title='owned'>": 1})
    assert headgate.post("/reload")[0] == 422
    with page_of(headgate) as browser:
        browser.wait("document.getElementById('faults').innerText.includes('<img src=x')")
        assert browser.value("document.title") == "Headgate"


def test_the_page_says_when_the_process_answers_no_more(start, backend, certificate):
    headgate = start(proxy(backend().address, certificate))
    with page_of(headgate) as browser:
        headgate.stop()
        browser.wait("document.getElementById('lost').innerText.includes('what you see is old')")
        browser.complaints.clear()
