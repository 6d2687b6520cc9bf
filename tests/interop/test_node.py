"""Node's TLS client."""

import pytest

from harness.config import proxy
from harness.tools import run, tool

CLIENT = """
const tls = require('tls'), fs = require('fs'), crypto = require('crypto');
const [port, ca, version] = process.argv.slice(2);
const size = 1 << 20, data = crypto.randomBytes(size), heard = [];
const socket = tls.connect({
  port, host: '127.0.0.1', servername: 'app.test', ca: fs.readFileSync(ca), minVersion: version, maxVersion: version,
}, () => { socket.write(data); });
let count = 0;
socket.on('data', chunk => { heard.push(chunk); count += chunk.length; if (count === size) socket.end(); });
socket.on('end', () => console.log(socket.getProtocol(), Buffer.concat(heard).equals(data)));
socket.on('error', error => { console.log(String(error)); process.exit(1); });
"""


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_node_gets_back_a_mebibyte(start, backend, certificate, authority, record_layer, version):
    headgate = start(proxy(backend().address, certificate, tls={"record_layer": record_layer}))
    told = run(tool("node"), "-", headgate.port(), authority.file, version, stdin=CLIENT)
    assert told.stdout == f"{version} true\n", told
    headgate.wait_metric("headgate_connections_closed_total", reason="finished")
