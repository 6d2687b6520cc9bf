"""docs/first-steps.md does what it says: its files and commands, in their order, bring PostgreSQL behind Headgate.

The machine has what the package leaves on it: the user, the configuration as installed, and the running service. `systemctl` is a
script that does what the unit says; installing and the real unit are in test_packages.py and test_systemd.py.
"""

import contextlib
import re
import shlex
import shutil

import pytest

from harness.headgate import Headgate
from harness.servers import postgres, short_directory
from harness.tools import TOP, headgate_binary, run, tool
from harness.two_machines import HERE, TwoMachines, can_be_made
from harness.waiting import wait_until

pytestmark = pytest.mark.once

PAGE = (TOP / "docs/first-steps.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.M | re.S)
NAMES = {"db.example.com": HERE}
USER = 4711
# /etc of the machine is its own: what the page writes there stays there. The test's certificates are not its own.
INSTALLED = f"""
set -e
mount -t tmpfs etc {{etc}}
mkdir {{etc}}/upper {{etc}}/work
mount -t overlay overlay -o lowerdir=/etc,upperdir={{etc}}/upper,workdir={{etc}}/work /etc
sed -i '/^headgate:/d' /etc/passwd /etc/group
echo headgate:x:{USER}:{USER}::/nonexistent:/usr/sbin/nologin >>/etc/passwd
echo headgate:x:{USER}: >>/etc/group
rm -rf /etc/headgate
install -d -m 755 /etc/headgate
install -m 644 {TOP}/deploy/debian/headgate.yaml /etc/headgate/headgate.yaml
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout /etc/headgate/default.pem -out /etc/headgate/default.crt
cat /etc/headgate/default.crt >>/etc/headgate/default.pem
rm /etc/headgate/default.crt
chown root:headgate /etc/headgate/default.pem
chmod 640 /etc/headgate/default.pem
"""
# As the unit's ExecReload. PostgreSQL is restarted by the test.
SYSTEMCTL = """#!/bin/bash
case "$*" in
  'reload headgate') headgate check --config /etc/headgate/headgate.yaml && kill -HUP "$(<{folder}/pid)" ;;
  'restart postgresql' | 'status headgate') ;;
  *) echo "no such command here: $*" >&2; exit 1 ;;
esac
"""
NOT_RUN = ("apt install", "journalctl")


def block(kind):
    """The text of the one block of this kind."""
    (text,) = [text for name, text in BLOCKS if name == kind]
    return text


def commands():
    """Every command of the page in its order, a continued line as one."""
    text = "".join(text for kind, text in BLOCKS if kind == "sh").replace("\\\n", " ")
    return [line for line in text.splitlines() if not line.startswith(NOT_RUN)]


class Reader:
    """Follows the page on a machine on which the package has just been installed."""

    def __init__(self, exits, monkeypatch):
        self.folder = short_directory()
        exits.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.machines = TwoMachines(self.folder, NAMES)
        exits.callback(self.machines.close)
        (self.folder / "etc").mkdir()
        told = self.machines.here.run("bash", "-c", INSTALLED.format(etc=self.folder / "etc"))
        assert told.returncode == 0, told
        self.programs = self.folder / "bin"
        self.programs.mkdir()
        shutil.copy2(headgate_binary(), self.programs / "headgate")
        self.write_program("systemctl", SYSTEMCTL.format(folder=self.folder))
        self.headgate = self.start(monkeypatch)
        exits.callback(lambda: self.headgate.stop() == 0 or pytest.fail(self.headgate.output))

    def write_program(self, name, text):
        (self.programs / name).write_text(text)
        (self.programs / name).chmod(0o755)

    def start(self, monkeypatch):
        rights = f"{tool('setpriv')} --reuid={USER} --regid={USER} --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs"
        entrance = shlex.join(map(str, self.machines.here.entrance))
        self.write_program("service", f'#!/bin/bash\numask 0077\nexec {entrance} {rights} {self.programs}/headgate "$@"\n')
        monkeypatch.setenv("HEADGATE_BINARY", str(self.programs / "service"))
        started = Headgate(self.folder, arguments=["run", "--config", "/etc/headgate/headgate.yaml"])
        (self.folder / "pid").write_text(str(started.child.pid))
        wait_until(lambda: "listening" in started.output or started.child.poll() is not None, lambda: started.output)
        assert started.child.poll() is None, started.output
        return started

    def here(self, command, **options):
        return self.machines.here.run("bash", "-c", f"PATH={self.programs}:$PATH; {command}", **options)

    def elsewhere(self, command):
        """On another machine, in a folder with a copy of the certificate."""
        (self.folder / "db.crt").write_text(self.here("cat /etc/headgate/db.crt").stdout)
        return self.machines.elsewhere.run("bash", "-c", f"cd {self.folder}; PGPASSWORD=secret {command}")

    def does(self, command):
        """What a command of the page says; it must succeed."""
        told = self.elsewhere(command) if command.startswith("psql") else self.here(command)
        assert told.returncode == 0, (command, told, self.headgate.output)
        return told.stdout


@pytest.mark.skipif(not can_be_made(), reason="no name spaces for machines of one's own: only root has them, and not everywhere")
def test_the_first_steps_put_headgate_in_front_of_postgres(monkeypatch):
    assert block("ini") == "listen_addresses = ''\n", "as harness.servers starts PostgreSQL"
    with contextlib.ExitStack() as exits:
        reader = Reader(exits, monkeypatch)
        database = exits.enter_context(postgres(access=f"{block('pg_hba')}local all all peer\n"))
        reader.machines.link("/run/postgresql/.s.PGSQL.5432", database.address)
        told = {}
        for command in commands():
            if command.startswith("headgate check"):
                reader.here("cat > /etc/headgate/headgate.yaml", stdin=block("yaml"))
            if command.startswith("psql"):
                wait_until(lambda: "5432" in reader.here("ss -Htln").stdout, lambda: reader.headgate.output)
            told[command.split()[0], command.split()[1]] = reader.does(command)
        (answer,) = [text for words, text in told.items() if words[0] == "psql"]
        assert "42" in answer
        explained = told["headgate", "explain"]
        assert "exact name" in explained and "unix:/run/postgresql/.s.PGSQL.5432" in explained and "refused" not in explained
        metrics = reader.here("curl -fsS 127.0.0.1:9464/metrics").stdout
        assert re.search(r'^headgate_handshakes_total\{listener="postgres",result="ok",resumed="no"\} 1$', metrics, re.M), metrics
        plain = reader.elsewhere('psql "host=db.example.com user=app dbname=postgres sslmode=disable" -c "select 1"')
        assert plain.returncode != 0


def test_the_page_has_each_step():
    headings = re.findall(r"^## (\d)\. ", PAGE, re.M)
    assert headings == [str(number) for number in range(1, len(headings) + 1)]
    assert run(tool("bash"), "-n", "-c", "\n".join(commands())).returncode == 0
