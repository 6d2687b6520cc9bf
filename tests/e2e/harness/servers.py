"""Real servers from the distribution, as children with a directory of their own, behind unix sockets where they can."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from glob import glob
from pathlib import Path

from harness.kernel import listening_ports
from harness.tools import run, tool
from harness.waiting import wait_until


class Server:
    """A child that serves; `address` is an entry of a backend's `servers`. Use it in a `with`."""

    def __init__(self, argv, directory, address=None, **popen_options):
        self.directory = Path(directory)
        self.log = self.directory / "log.txt"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                **popen_options,
            )
        self._address = address
        wait_until(self._serves, lambda: f"{argv[0]} does not serve:\n{self.log.read_text(errors='replace')}")

    @property
    def address(self):
        if self._address:
            return self._address
        return f"127.0.0.1:{listening_ports(self.child.pid)[0]}"

    def _serves(self):
        assert self.child.poll() is None, self.log.read_text(errors="replace")
        if not self._address:
            return listening_ports(self.child.pid)
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self._address.removeprefix("unix:")) == 0

    def close(self):
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def short_directory():
    """A new directory whose path is short enough for a unix socket's name (108 bytes)."""
    directory = Path(tempfile.mkdtemp(prefix="hg-"))
    directory.chmod(0o755)
    return directory


def nginx(listen_options="", server="", root=None):
    """nginx with one HTTP server on a unix socket; `server` is the inside of its server block."""
    directory = short_directory()
    path = directory / "nginx.sock"
    (directory / "nginx.conf").write_text(
        f"""
        daemon off; pid {directory}/pid; error_log stderr warn; worker_processes 1;
        {"user root;" if os.geteuid() == 0 else ""}
        events {{ worker_connections 4096; }}
        http {{
          access_log off; client_max_body_size 0;
          client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
          fastcgi_temp_path {directory}/fastcgi; uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
          server {{ listen unix:{path} {listen_options}; root {root or directory}; {server} }}
        }}
        """
    )
    argv = [tool("nginx"), "-p", directory, "-c", directory / "nginx.conf", "-e", "stderr"]
    return Server(argv, directory, f"unix:{path}")


def haproxy(frontend, backend):
    """HAProxy on a TCP port; `frontend` and `backend` are the insides of its two sections, one setting a line.

    "BIND" in `frontend` stands for its socket. It is inherited, so it takes connections before HAProxy is ready, and
    no test has to connect to find out whether HAProxy is ready.
    """
    directory = short_directory()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        (directory / "haproxy.cfg").write_text(
            f"global\n  maxconn 1000\ndefaults\n  timeout client 30s\n  timeout server 30s\n  timeout connect 5s\n"
            f"frontend f\n  {frontend.replace('BIND', f'bind fd@{listening.fileno()}')}\n  default_backend b\n"
            f"backend b\n  {backend}\n"
        )
        argv = [tool("haproxy"), "-db", "-f", directory / "haproxy.cfg"]
        return Server(argv, directory, pass_fds=[listening.fileno()])


def redis():
    directory = short_directory()
    path = directory / "redis.sock"
    argv = [tool("redis-server"), "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory]
    return Server(argv, directory, f"unix:{path}")


def postgres():
    """PostgreSQL with a new cluster: user `app`, database `postgres`, no password."""
    binaries = Path(sorted(glob("/usr/lib/postgresql/*/bin"))[-1] if glob("/usr/lib/postgresql/*/bin") else "/usr/bin")
    directory = short_directory()
    options = {}
    if os.geteuid() == 0:  # it refuses to run as root
        account = pwd.getpwnam("postgres")
        shutil.chown(directory, account.pw_uid, account.pw_gid)
        options = {"user": account.pw_uid, "group": account.pw_gid}
    data = directory / "data"
    made = run(
        tool(str(binaries / "initdb")), "-D", data, "-U", "app", "-A", "trust", "--no-sync", cwd=directory, **options
    )
    assert made.returncode == 0, made.stderr
    argv = [binaries / "postgres", "-D", data, "-k", directory, "-c", "listen_addresses=", "-c", "fsync=off"]
    return Server(argv, directory, f"unix:{directory}/.s.PGSQL.5432", **options)


def nghttpd(root):
    """An HTTP/2 server without TLS that serves the files below `root`."""
    directory = short_directory()
    return Server([tool("nghttpd"), "--no-tls", "-a", "127.0.0.1", "-d", root, "0"], directory)
