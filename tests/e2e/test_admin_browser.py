"""Pages of other sites in the operator's browser, which reaches the admin endpoint: they read nothing and change nothing."""

import contextlib
import http.server
import threading

import pytest

from harness.browser import Browser

REBOUND = "rebound.example"  # the browser takes it for 127.0.0.1, as after DNS rebinding


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>other</title><body>another site</body>")

    def log_message(self, *_):
        pass


@pytest.fixture
def other_site():
    """The URL of a page of another site, on this machine."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def browser_at(url):
    with Browser(f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as browser:
        browser.open(url)
        yield browser


def outcome(browser, url, options):
    """The page's view of a request: its type, status and text, or "failed"."""
    return browser.value(
        f"fetch({url!r}, {options}).then(async one => one.type + ' ' + one.status + ' ' + await one.text(), () => 'failed')"
    )


def nothing_has_changed(headgate):
    return headgate.get("/readyz")[0] == 200 and headgate.status()["reload"]["ok"] == 0


def test_a_page_of_another_site_changes_nothing_and_reads_nothing(echo_proxy, other_site):
    admin = f"http://{echo_proxy.admin_address}"
    ways = (
        "{method: 'POST', mode: 'no-cors', headers: {'Content-Type': 'text/plain'}, body: '{}'}",
        "{method: 'POST', mode: 'cors', headers: {'Content-Type': 'application/json'}, body: '{}'}",
        "{method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer'}",
    )
    with browser_at(other_site) as browser:
        for path in ("/reload", "/drain"):
            for way in ways:
                assert outcome(browser, admin + path, way) in ("failed", "opaque 0 ")
        for mode in ("cors", "no-cors"):
            assert outcome(browser, admin + "/status.json", f"{{mode: '{mode}'}}") in ("failed", "opaque 0 ")
        assert nothing_has_changed(echo_proxy)
        browser.value(
            f"new Promise(done => {{ document.body.innerHTML = '<iframe name=f></iframe><form method=post target=f"
            f" action=\"{admin}/drain\"></form>'; document.querySelector('iframe').onload = () => done(1);"
            " document.querySelector('form').submit(); })"
        )
    assert nothing_has_changed(echo_proxy)


def test_a_page_whose_name_is_rebound_to_the_endpoint_reads_nothing_and_changes_nothing(echo_proxy):
    port = echo_proxy.admin_address.split(":")[1]
    with browser_at(f"http://{REBOUND}:{port}/") as browser:
        assert "admin.names" in browser.text("body")
        # The policy of the answer lets its page fetch nothing.
        assert outcome(browser, "/status.json", "{}") == "failed"
        assert outcome(browser, "/reload", "{method: 'POST'}") == "failed"
    assert nothing_has_changed(echo_proxy)


def test_a_link_of_another_site_leads_to_the_status_page(echo_proxy, other_site):
    with browser_at(other_site) as browser:
        browser.value(f"void (location.href = 'http://{echo_proxy.admin_address}/')")
        browser.wait("document.querySelectorAll('.tile').length === 7")
