"""Real servers from the distribution, as children with a directory of their own, behind unix sockets where they can."""

import itertools
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
        if not self._address.startswith("unix:"):
            return connects(self._address)
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


class TwoPortServer(Server):
    """A server with several ports at `host`."""

    def __init__(self, argv, directory, host, ports):
        self.host = host
        super().__init__(argv, directory, f"{host}:{ports[0]}")
        wait_until(lambda: all(connects(f"{host}:{port}") for port in ports), "all its ports are open")


def connects(address):
    """Whether a program listens at the TCP address."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


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


_addresses = itertools.count(1)


def address_of_its_own():
    """An address of 127.0.0.0/8 that no other server of this test run has, for one that needs a port by its number."""
    return f"127.{64 + os.getpid() % 64}.{os.getpid() // 64 % 256}.{next(_addresses)}"


def postgres(certificate=None, access=None):
    """PostgreSQL with a new cluster: user `app`, database `postgres`. With a certificate it listens for clients with TLS
    alone, on a TCP port. `access` is the text of pg_hba.conf; then the password is `secret`, else there is none."""
    binaries = Path(sorted(glob("/usr/lib/postgresql/*/bin"))[-1] if glob("/usr/lib/postgresql/*/bin") else "/usr/bin")
    directory = short_directory()
    options = {}
    if os.geteuid() == 0:  # it refuses to run as root
        account = pwd.getpwnam("postgres")
        shutil.chown(directory, account.pw_uid, account.pw_gid)
        options = {"user": account.pw_uid, "group": account.pw_gid}
    data = directory / "data"
    (directory / "password").write_text("secret\n")
    (directory / "password").chmod(0o644)
    trust = ["-A", "scram-sha-256", f"--pwfile={directory}/password"] if access else ["-A", "trust"]
    made = run(tool(str(binaries / "initdb")), "-D", data, "-U", "app", *trust, "--no-sync", cwd=directory, **options)
    assert made.returncode == 0, made.stderr
    if access:
        (data / "pg_hba.conf").write_text(access)
    argv = [binaries / "postgres", "-D", data, "-k", directory, "-c", "fsync=off"]
    if not certificate:
        return Server([*argv, "-c", "listen_addresses="], directory, f"unix:{directory}/.s.PGSQL.5432", **options)
    copy_pair(certificate, directory, options.get("user"))
    (data / "pg_hba.conf").write_text(access or "hostssl all all all trust\n")
    host = address_of_its_own()
    argv += ["-c", f"listen_addresses={host}", "-c", "ssl=on", "-c", f"ssl_cert_file={directory}/tls.crt"]
    return Server([*argv, "-c", f"ssl_key_file={directory}/tls.key"], directory, f"{host}:5432", **options)


def copy_pair(certificate, directory, owner=None):
    """`tls.crt` and `tls.key` in `directory`, for a server that wants its private key for itself."""
    shutil.copy(certificate.certificate, directory / "tls.crt")
    key = directory / "tls.key"
    shutil.copy(certificate.key, key)
    key.chmod(0o600)
    if owner is not None:
        os.chown(key, owner, owner)


def slapd(certificate=None):
    """OpenLDAP for `dc=test`, administrator `cn=admin,dc=test` with the password `secret`. With a certificate it does nothing
    without TLS, for which it has to be asked."""
    directory = short_directory()
    (directory / "db").mkdir()
    tls = (
        f"TLSCertificateFile {certificate.certificate}\nTLSCertificateKeyFile {certificate.key}\nsecurity tls=1"
        if certificate
        else ""
    )
    (directory / "slapd.conf").write_text(
        f"""
include /etc/ldap/schema/core.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {directory}/pid
{tls}
database mdb
suffix "dc=test"
rootdn "cn=admin,dc=test"
rootpw secret
directory {directory}/db
"""
    )
    host = address_of_its_own()
    argv = [tool("slapd"), "-d", "0", "-f", directory / "slapd.conf", "-h", f"ldap://{host}:3890"]
    return Server(argv, directory, f"{host}:3890")


def dovecot(certificate=None):
    """Dovecot with IMAP on port 1143 and POP3 on port 1110 of its `host`: any user, the password `secret`. With a certificate
    there is no login without TLS, for which it has to be asked; without one each connection begins with a PROXY header."""
    directory = short_directory()
    if certificate:
        copy_pair(certificate, directory)
    user = pwd.getpwuid(os.geteuid()).pw_name
    mail_user = "mail" if os.geteuid() == 0 else user
    host = address_of_its_own()
    own = f"default_internal_user = {user}\ndefault_login_user = {user}\ndefault_internal_group = {user}\n"
    (directory / "home").mkdir()
    (directory / "home").chmod(0o777)
    new = run(tool("dovecot"), "--version").stdout >= "2.4"
    services = "".join(
        f"service {name}-login {{\n  chroot =\n  inet_listener {name} {{\n    {'listen' if new else 'address'} = {host}\n"
        f"    port = {port}\n    haproxy = {'no' if certificate else 'yes'}\n  }}\n  inet_listener {name}s {{\n    port = 0\n  }}\n}}\n"
        for name, port in (("imap", 1143), ("pop3", 1110))
    )
    if new:
        tls = f"ssl = required\nssl_server_cert_file = {directory}/tls.crt\nssl_server_key_file = {directory}/tls.key\n"
        plain = "ssl = no\nauth_allow_cleartext = yes\n"
        head = (
            "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\n"
            "passdb static {\n  password = secret\n}\n"
            f"userdb static {{\n  fields {{\n    uid = {mail_user}\n    gid = {mail_user}\n    home = {directory}/home\n  }}\n}}\n"
            f"mail_driver = maildir\nmail_path = {directory}/home/mail\n"
        )
    else:
        tls = f"ssl = required\nssl_cert = <{directory}/tls.crt\nssl_key = <{directory}/tls.key\n"
        plain = "ssl = no\ndisable_plaintext_auth = no\n"
        head = (
            "passdb {\n  driver = static\n  args = password=secret\n}\n"
            f"userdb {{\n  driver = static\n  args = uid={mail_user} gid={mail_user} home={directory}/home\n}}\n"
            f"mail_location = maildir:{directory}/home/mail\n"
        )
    (directory / "dovecot.conf").write_text(
        f"{head}protocols = imap pop3\nbase_dir = {directory}/run\nlog_path = /dev/stderr\n"
        f"{tls if certificate else plain}haproxy_trusted_networks = 127.0.0.0/8\n"
        f"first_valid_uid = 1\n{'' if os.geteuid() == 0 else own}{services}"
    )
    return TwoPortServer([tool("dovecot"), "-F", "-c", directory / "dovecot.conf"], directory, host, (1143, 1110))


def postfix(certificate=None):
    """Postfix that drops the mail that it takes: with a certificate from this machine, after STARTTLS alone; without one from
    10.20.0.0/16, as the PROXY header says. Only root can start it."""
    directory = short_directory()
    host = address_of_its_own()
    for name in ("spool", "data"):
        (directory / name).mkdir()
    shutil.chown(directory / "data", "postfix")
    if certificate:
        copy_pair(certificate, directory)
        own = f"smtpd_tls_security_level = encrypt\nsmtpd_tls_chain_files = {directory}/tls.key, {directory}/tls.crt\n"
        own += "mynetworks = 127.0.0.0/8\n"
    else:
        own = "smtpd_upstream_proxy_protocol = haproxy\nmynetworks = 10.20.0.0/16\n"
    (directory / "main.cf").write_text(
        f"compatibility_level = 3.6\nqueue_directory = {directory}/spool\ndata_directory = {directory}/data\n"
        f"maillog_file = /dev/stdout\nmyhostname = mail.test\nmydestination =\n{own}"
        f"default_transport = discard\nlocal_recipient_maps =\nalias_maps =\nalias_database =\n"
    )
    (directory / "master.cf").write_text(
        f"{host}:2525 inet n - n - - smtpd\n"
        "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\n"
        "discard unix - - n - - discard\nbounce unix - - n - 0 bounce\ntlsmgr unix - - n 1000? 1 tlsmgr\n"
        "postlog unix-dgram n - n - 1 postlogd\nanvil unix - - n - 1 anvil\nlocal unix - n n - - local\n"
        "defer unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nerror unix - - n - - error\n"
    )
    return Server([tool("postfix"), "-c", directory, "start-fg"], directory, f"{host}:2525")


def mariadb(certificate):
    """MariaDB with TLS on port 3306 of its `host`, and on a unix socket, `socket_address`; connections by TCP need TLS.
    The database `app` belongs to the users `native` and `ed`, named for how they log in, and to `strict`, whose account has
    REQUIRE SSL; their password is `secret`. A PROXY header may come from loopback and by the unix socket."""
    directory = short_directory()
    data = directory / "data"
    data.mkdir()
    copy_pair(certificate, directory)
    options = []
    if os.geteuid() == 0:
        for path in (directory, data, directory / "tls.key"):
            shutil.chown(path, "mysql", "mysql")
        options = ["--user=mysql"]
    options.append(f"--tmpdir={directory}")
    small = ["--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=8M"]
    made = run(
        tool("mariadb-install-db"), "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
        "--skip-test-db", *options, *small, seconds=120,
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    (directory / "init.sql").write_text(
        "CREATE DATABASE app;\n"
        "CREATE USER native@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('secret');\n"
        "CREATE USER ed@'%' IDENTIFIED VIA ed25519 USING PASSWORD('secret');\n"
        "CREATE USER strict@'%' IDENTIFIED VIA mysql_native_password USING PASSWORD('secret') REQUIRE SSL;\n"
        "GRANT ALL ON app.* TO native@'%', ed@'%', strict@'%';\n"
    )
    host = address_of_its_own()
    argv = [
        tool("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={directory}/sql", f"--bind-address={host}",
        "--port=3306", f"--ssl-cert={directory}/tls.crt", f"--ssl-key={directory}/tls.key", "--skip-name-resolve",
        "--plugin-load-add=auth_ed25519", "--require-secure-transport=ON", "--local-infile=ON", "--log-bin=binlog",
        "--proxy-protocol-networks=localhost,127.0.0.0/8", f"--init-file={directory}/init.sql", f"--pid-file={directory}/pid", *options, *small,
    ]  # fmt: skip
    server = Server(argv, directory, f"{host}:3306")
    server.socket_address = f"unix:{directory}/sql"
    return server


def nghttpd(root):
    """An HTTP/2 server without TLS that serves the files below `root`."""
    directory = short_directory()
    return Server([tool("nghttpd"), "--no-tls", "-a", "127.0.0.1", "-d", root, "0"], directory)
