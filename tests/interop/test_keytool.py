"""Certificates from keytool's stores, which Java's users have, for the server and for the client."""

from pathlib import Path

import pytest

from harness.config import proxy
from harness.tools import run, tool

pytestmark = pytest.mark.once

PASSWORD = "changeit"


class Stores:
    """The authority, the server and the client that keytool makes, each in a PKCS12 store, and the PEM made from
    them."""

    def __init__(self, directory):
        self.directory = directory
        self._pair("ca", "CN=Keytool CA", "-ext", "bc:c=ca:true", "-ext", "ku:c=keyCertSign,cRLSign")
        self.ca = directory / "ca.pem"
        self.ca.write_text(self._keytool("-exportcert", "-rfc", "-alias", "ca", store="ca"))
        self._issue("server", "CN=app.test", "eku=serverAuth", "san=dns:app.test,dns:localhost")
        self._issue("client", "CN=keytool client", "eku=clientAuth", "san=dns:client.test")

    def _keytool(self, *arguments, store, stdin=""):
        file = self.directory / f"{store}.p12"
        told = run(tool("keytool"), *arguments, "-keystore", file, "-storetype", "PKCS12", "-storepass", PASSWORD,
                   stdin=stdin, seconds=120)  # fmt: skip
        assert told.returncode == 0, told
        return told.stdout

    def _pair(self, name, subject, *options):
        self._keytool("-genkeypair", "-alias", name, "-keyalg", "EC", "-groupname", "secp256r1", "-dname", subject,
                      "-validity", "30", *options, store=name)  # fmt: skip

    def _issue(self, name, subject, *extensions):
        self._pair(name, subject)
        request = self._keytool("-certreq", "-alias", name, store=name)
        options = [word for extension in extensions for word in ("-ext", extension)]
        issued = self._keytool("-gencert", "-rfc", "-alias", "ca", "-validity", "30", *options, store="ca", stdin=request)
        self._keytool("-importcert", "-noprompt", "-alias", "ca", stdin=self.ca.read_text(), store=name)
        self._keytool("-importcert", "-noprompt", "-alias", name, stdin=issued, store=name)

    def pem(self, name):
        """The store as `openssl pkcs12` writes it out: with attributes between the blocks, and the root at the end."""
        file = self.directory / f"{name}.pem"
        told = run(tool("openssl"), "pkcs12", "-in", self.directory / f"{name}.p12", "-passin", f"pass:{PASSWORD}",
                   "-nodes", "-out", file)  # fmt: skip
        assert told.returncode == 0, told
        return file


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    return Stores(tmp_path_factory.mktemp("keytool"))


def listener(stores, backend, **client_auth):
    tls = {"certificates": [{"certificate": str(stores.pem("server"))}], "client_auth": client_auth}
    return proxy(backend().address, tls=tls)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_store_serves_and_java_shows_the_certificate_of_another(start, backend, stores, version):
    headgate = start(listener(stores, backend, mode="required", ca=str(stores.ca), allow={"dns": ["client.test"]}))
    told = run(tool("java"), Path(__file__).with_name("EchoClient.java"), headgate.port(), stores.ca, version,
               stores.directory / "client.p12", PASSWORD, seconds=120)  # fmt: skip
    assert told.stdout == f"{version} same\n" * 2, told
    assert headgate.metric("headgate_handshakes_total", result="ok") == 2


@pytest.mark.slow
def test_java_without_a_certificate_is_refused_by_name(start, backend, stores):
    headgate = start(listener(stores, backend, mode="required", ca=str(stores.ca)))
    told = run(tool("java"), Path(__file__).with_name("EchoClient.java"), headgate.port(), stores.ca, "TLSv1.3",
               seconds=120)  # fmt: skip
    assert "same" not in told.stdout
    headgate.wait_metric("headgate_handshake_failures_total", reason="client_certificate_missing")


def test_openssl_verifies_what_a_store_serves(start, backend, stores):
    headgate = start(listener(stores, backend, mode="none"))
    told = run(tool("openssl"), "s_client", "-connect", headgate.address(), "-servername", "app.test", "-CAfile", stores.ca,
               "-verify_hostname", "app.test", "-verify_return_error")  # fmt: skip
    assert "Verification: OK" in told.stdout, told
