"""KeyUpdates that Headgate sends on its own, and those of its clients in the middle of bulk.

In the program used here keys wear out after 16 records, so every client meets many.
"""

import ctypes
import hashlib
import re
from pathlib import Path

import pytest
from OpenSSL._util import ffi

from harness.backends import known_digest, source
from harness.browser import Browser
from harness.config import proxy
from harness.dialogue import Dialogue
from harness.servers import nginx
from harness.tls_client import TLS13, connect, python_tls
from harness.tools import headgate_binary, run, tool

RECORDS_PER_KEY = 16
SIZE_BYTES = 8_000_000
CONTENT = hashlib.shake_256(b"many keys").digest(SIZE_BYTES)


@pytest.fixture
def short_keys(monkeypatch):
    """Headgates that are started from here on change their keys every few records."""
    monkeypatch.setenv("HEADGATE_BINARY", str(Path(headgate_binary()).with_name("headgate_short_keys")))


@pytest.fixture
def echo_short_keys(short_keys, start, backend, certificate):
    return start(proxy(backend().address, certificate))


@pytest.fixture
def file_short_keys(short_keys, start, certificate):
    """Headgate stands before nginx, which serves CONTENT as /file.bin and takes uploads."""
    with nginx(server="dav_methods PUT;") as server:
        (server.directory / "file.bin").write_bytes(CONTENT)
        headgate = start(proxy(server.address, certificate))
        headgate.files = server.directory
        yield headgate


def updates(text):
    return len(re.findall(r"<<< TLS 1.3, Handshake \[length 0005\], KeyUpdate", text))


def test_openssl_is_sent_a_key_update_every_few_records(echo_short_keys):
    with Dialogue(tool("openssl"), "s_client", "-connect", echo_short_keys.address(), "-tls1_3", "-msg") as client:
        client.expect("Verify return code")
        for number in range(3 * RECORDS_PER_KEY):
            client.say(f"line {number}.\n")
            client.expect(f"line {number}.")
        assert updates(client.heard) in (2, 3)  # session tickets are records too


def test_curl_uploads_and_downloads_across_many_keys(file_short_keys, authority, tmp_path):
    (tmp_path / "up.bin").write_bytes(CONTENT)
    url = f"https://localhost:{file_short_keys.port()}"
    options = ["--silent", "--show-error", "--fail", "--tlsv1.3", "--cacert", authority.file]
    told = run(
        tool("curl"), *options, "-T", tmp_path / "up.bin", f"{url}/up.bin",
        "--next", *options, "-o", tmp_path / "down.bin", f"{url}/file.bin",
    )  # fmt: skip
    assert told.returncode == 0, told
    assert (file_short_keys.files / "up.bin").read_bytes() == CONTENT
    assert (tmp_path / "down.bin").read_bytes() == CONTENT


def test_gnutls_follows_and_asks_itself(echo_short_keys, authority):
    """GnuTLS ends a connection that changes keys more than eight times a second: a few lines are enough."""
    with Dialogue(
        tool("gnutls-cli"), "--x509cafile", authority.file, "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3",
        "--inline-commands", "-p", echo_short_keys.port(), "localhost",
    ) as client:  # fmt: skip
        client.expect("Handshake was completed")
        for number in range(3 * RECORDS_PER_KEY):
            client.say(f"line {number}.\n")
            client.expect(f"line {number}.")
        client.say("^rekey^\n")
        client.say("after\n")
        client.expect("after")


def test_python_reads_bulk_across_many_keys(short_keys, start, backend, certificate):
    headgate = start(proxy(backend(source(SIZE_BYTES)).address, certificate))
    digest = hashlib.sha256()
    with python_tls(headgate.port()) as client:
        while chunk := client.recv(65536):
            digest.update(chunk)
    assert digest.hexdigest() == known_digest(SIZE_BYTES)


@pytest.mark.parametrize("ask", [0, 1], ids=["alone", "and asks for ours"])
def test_a_client_that_changes_its_keys_with_every_write_loses_nothing(echo_short_keys, ask):
    """The client is OpenSSL, called from Python, which has no name for KeyUpdate."""
    library = ctypes.CDLL("libssl.so.3")
    with connect(echo_short_keys.port(), version=TLS13) as client:
        pointer = ctypes.c_void_p(int(ffi.cast("uintptr_t", client.tls._ssl)))
        for number in range(100):
            assert library.SSL_key_update(pointer, ask) == 1
            client.exchange(CONTENT[number * 5000 : number * 5000 + 40_000])


NODE = """
const https = require('https'), fs = require('fs'), crypto = require('crypto');
const [port, ca] = process.argv.slice(2);
const digest = crypto.createHash('sha256');
https.get({port, host: 'localhost', path: '/file.bin', ca: fs.readFileSync(ca), minVersion: 'TLSv1.3'}, answer => {
  answer.on('data', chunk => digest.update(chunk));
  answer.on('end', () => console.log(answer.statusCode, digest.digest('hex')));
}).on('error', error => console.log(String(error)));
"""


def test_node_downloads_across_many_keys(file_short_keys, authority):
    told = run(tool("node"), "-", file_short_keys.port(), authority.file, stdin=NODE)
    assert told.stdout == f"200 {hashlib.sha256(CONTENT).hexdigest()}\n", told


@pytest.mark.slow
@pytest.mark.parametrize("keys", ["ours", "theirs", "both"])
def test_java_exchanges_a_mebibyte_while_either_side_changes_keys(
    start, backend, certificate, authority, tmp_path, monkeypatch, request, keys
):
    """The JDK changes its keys, and asks for ours, when the security property says that they protected enough.

    It looks when it has written or read: by then our whole mebibyte may be on its way. The answer to its last KeyUpdate comes
    before the byte that it exchanges at the end (RFC 8446, section 4.6.3).
    """
    if keys != "theirs":
        request.getfixturevalue("short_keys")
    limits = tmp_path / "java.security"
    limit = "2^16" if keys != "ours" else "2^37"
    limits.write_text(f"jdk.tls.keyLimits=AES/GCM/NoPadding KeyUpdate {limit}, ChaCha20-Poly1305 KeyUpdate {limit}\n")
    headgate = start(proxy(backend().address, certificate))
    told = run(
        tool("java"), f"-Djava.security.properties={limits}", "-Djavax.net.debug=ssl:handshake",
        Path(__file__).with_name("EchoClient.java"), headgate.port(), authority.file, "TLSv1.3", seconds=120,
    )  # fmt: skip
    assert told.stdout == "TLSv1.3 same\n" * 2, told
    heard = told.stderr.count("Consuming KeyUpdate post-handshake message")
    said = told.stderr.count("Produced KeyUpdate post-handshake message")
    assert heard >= 2, "one on each connection at least, on our own or because it asked"
    assert (said >= 16) == (keys != "ours")


def test_nss_reads_bulk_across_many_keys(short_keys, start, backend, certificate, authority, tmp_path):
    """NSS' client can follow KeyUpdates; it has no command that sends one."""
    certutil = tool("certutil")
    assert run(certutil, "-N", "-d", tmp_path, "--empty-password").returncode == 0
    assert run(certutil, "-A", "-d", tmp_path, "-n", "ca", "-t", "C,,", "-i", authority.file).returncode == 0
    (tmp_path / "request").write_text("x\n")
    content = b"".join(b"%07d\n" % number for number in range(SIZE_BYTES // 8))

    def serve(connection):
        connection.recv(100)
        connection.sendall(content)

    headgate = start(proxy(backend(serve).address, certificate))
    argv = ["-h", "localhost", "-4", "-p", headgate.port(), "-a", "app.test", "-d", tmp_path]
    with Dialogue(tool("tstclnt"), *argv, "-V", "tls1.3:tls1.3", "-A", tmp_path / "request") as client:
        client.expect_end()
        assert content.decode() in client.heard


@pytest.mark.slow
def test_a_browser_downloads_and_uploads_across_many_keys(file_short_keys):
    page = f"https://localhost:{file_short_keys.port()}/"
    (file_short_keys.files / "index.html").write_text("<h1>here</h1>")
    content = CONTENT[:2_000_000]
    (file_short_keys.files / "part.bin").write_bytes(content)
    script = """window.outcome = null; (async () => {
      const hex = bytes => crypto.subtle.digest('SHA-256', bytes)
        .then(digest => [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join(''));
      const down = await fetch('/part.bin').then(answer => answer.arrayBuffer());
      const up = await fetch('/up.bin', {method: 'PUT', body: down});
      window.outcome = [await hex(down), up.status];
    })().catch(error => { window.outcome = [String(error), 0]; }); 0"""
    with Browser("--ignore-certificate-errors") as browser:
        browser.open(page)
        assert browser.text("h1") == "here"
        browser.value(script)
        digest, status = browser.wait("window.outcome", seconds=120)  # the browser may get little CPU
    assert digest == hashlib.sha256(content).hexdigest()
    assert status == 201
    assert (file_short_keys.files / "up.bin").read_bytes() == content
    assert file_short_keys.metric("headgate_record_layer_connections_total", layer="headgate") >= 1
