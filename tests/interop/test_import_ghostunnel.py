"""Command lines of ghostunnel, translated by `headgate import`: Headgate lets in the clients, and reaches the servers, that
ghostunnel's documentation says. ghostunnel is in no distribution that the tests use, so nothing runs beside it."""

import pytest

from harness.side_by_side import Banner, Client, Translation, all_clients, filled, outcome, plain_outcome
from harness.tls_client import TLS12, TLS13

pytestmark = pytest.mark.once

FLAGS = "--keystore @a@ --cacert @ca@"
EVERY = {"good", "second", "revoked", "unit", "spiffe", "deep"}  # the CA vouches for them; nothing names a revocation list


@pytest.fixture(scope="module", autouse=True)
def more_clients(world):
    """Certificates with what ghostunnel's --allow flags ask for."""
    issue = world.authority.issue
    world.clients["unit"] = issue("unit.test", client=True, unit="ops")
    world.clients["spiffe"] = issue(client=True, uris=["spiffe://prod/ns/web"], common_name="web")
    world.clients["deep"] = issue(client=True, uris=["spiffe://prod/ns/web/deep"], common_name="deep")


@pytest.fixture
def serve(world, start, backend, tmp_path):
    """Starts Headgate with the translation of a file, of which no rule may be lost."""

    def serve_one(text):
        words = {**world.words, "one": backend(Banner("one")).address}
        words["tls"] = backend(Banner("tls"), wrap=world.server_tls).address
        file = tmp_path / "original"
        file.write_text(filled(text, words))
        ours = Translation(start, "ghostunnel", file)
        assert not ours.lost_a_rule, ours.told.stderr
        return ours

    return serve_one


SCRIPT = r"""#!/bin/sh
set -eu
# The front door of the inner service.
exec /usr/local/bin/ghostunnel server \
    --listen [::]:8443 \
    --target @one@ \
    --keystore=@a@ --cacert '@ca@' \
    --allow-cn good.test --allow-ou ops
"""
UNIT = r"""[Unit]
Description=TLS in front of the service
After=network.target

[Service]
ExecStart=/usr/bin/ghostunnel server --listen [::]:8443 --target @one@ \
  --cert @a_crt@ --key @a_key@ --cacert @ca@ --allow-all --shutdown-timeout 30s
Restart=always
DynamicUser=yes

[Install]
WantedBy=multi-user.target
"""
KUBERNETES = """apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers:
    - name: ghostunnel
      image: registry.test/tools:1
      args:
        - server
        - --listen=[::]:8443
        - "--target=@one@"
        - --keystore=@a@
        - --cacert=@ca@
        - --allow-uri=spiffe://prod/ns/*
"""
DOCKER = """FROM scratch
ENTRYPOINT ["/ghostunnel", "server",
  "--listen", "[::]:8443", "--target", "@one@",
  "--keystore", "@a@", "--cacert", "@ca@", "--allow-dns", "second.test"]
"""
COMPOSE = """services:
  tunnel:
    image: ghostunnel/ghostunnel
    command: server --listen [::]:8443 --target @one@ --keystore @a@ --disable-authentication
"""


@pytest.mark.parametrize(
    "text, admitted",
    [
        pytest.param(SCRIPT, {"good", "revoked", "unit"}, id="script"),
        pytest.param(UNIT, EVERY, id="unit"),
        pytest.param(KUBERNETES, {"spiffe"}, id="kubernetes"),
        pytest.param(DOCKER, {"second"}, id="docker"),
        pytest.param(COMPOSE, {*EVERY, "none", "foreign"}, id="compose"),
        pytest.param(f"ghostunnel server --listen [::]:8443 --target @one@ {FLAGS} --allow-cn nobody", set(), id="nobody"),
        pytest.param(f"ghostunnel server --listen [::]:8443 --target @one@ {FLAGS} --allow-cn second.test --allow-uri spiffe://prod/ns/web/deep", {"second", "deep"}, id="any_of"),
        pytest.param(f"ghostunnel {FLAGS} server --proxy-protocol --listen :8443 --target @one@ --allow-ou ops --allow-ou none", {"unit"}, id="flags_first"),
        pytest.param("server --listen [::]:8443 --target @one@ --keystore @a@ --cacert @other_ca@ --allow-all\n", {"foreign"}, id="arguments"),
        pytest.param(f"nohup ghostunnel server --listen [::]:8443 --target @one@ {FLAGS} --allow-dns-san good.test --max-tls-version TLS1.2 &\n", {"good", "revoked"}, id="tls12"),
    ],
)
def test_the_clients_get_in_that_ghostunnels_flags_admit(serve, world, text, admitted):
    ours = serve(text)
    for client in all_clients(("a.test", "unknown.test", None), world.clients):
        allowed = client.certificate in admitted and (client.version == TLS12 or "TLS1.2" not in text)
        expected = ("a.test", "one") if allowed else "refused"
        assert outcome(client, ours.address(client.source), world) == expected, (client, ours.told.stdout)


@pytest.mark.parametrize(
    "flags, serves",
    [
        ("--cacert @ca@ --override-server-name a.test --disable-authentication", True),
        ("--cacert @ca@ --override-server-name a.test --keystore @b@", True),
        ("--cacert @ca@ --override-server-name b.test --disable-authentication", False),
        ("--cacert @ca@ --disable-authentication", False),
        ("--cacert @other_ca@ --override-server-name a.test --disable-authentication", False),
    ],
)
def test_the_server_of_a_client_is_verified(serve, world, flags, serves):
    ours = serve(f"ghostunnel client --listen 127.0.0.1:8080 --target @tls@ {flags} --connect-timeout 5s")
    client = Client("127.0.0.1", TLS13, None, "none")
    assert plain_outcome(client, ours.address("127.0.0.1"), world) == ("tls" if serves else "refused")
