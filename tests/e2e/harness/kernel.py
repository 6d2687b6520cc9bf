"""The kernel's information about sockets and processes, from /proc."""

import os
from pathlib import Path

_ESTABLISHED, _LISTEN = "01", "0A"


def _tcp_rows():
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            yield line.split()


def _port(hexadecimal):
    return int(hexadecimal.rsplit(":", 1)[1], 16)


def listening_ports(pid):
    """The TCP ports on which a process listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    return sorted({_port(row[1]) for row in _tcp_rows() if row[3] == _LISTEN and row[9] in inodes})


def unread_bytes(port):
    """Bytes that have arrived at a local port and no process has read, and connections that no process has accepted."""
    rows = [row for row in _tcp_rows() if _port(row[1]) == port and row[3] in (_ESTABLISHED, _LISTEN)]
    return sum(int(row[4].split(":")[1], 16) for row in rows)


def cpu_seconds(pid):
    """The processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
