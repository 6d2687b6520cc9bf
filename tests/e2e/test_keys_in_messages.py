"""No message has a byte of a key in it, however a key file is damaged and wherever a key was written."""

import json
import re

import pytest

from harness.authority import replace_file
from harness.config import proxy
from harness.tools import headgate_binary, run

DAMAGES = {
    "blanks for line breaks": lambda pem: pem.replace("\n", " "),
    "backslash-n for line breaks": lambda pem: pem.strip().replace("\n", "\\n"),
    "carriage returns alone": lambda pem: pem.replace("\n", "\r"),
    "no line breaks": lambda pem: pem.replace("\n", ""),
    "no END": lambda pem: pem[: pem.index("-----END")],
    "no dashes at the end of BEGIN": lambda pem: pem.replace("KEY-----\n", "KEY\n", 1),
    "a byte that is not base64": lambda pem: pem[:40] + "!" + pem[40:],
    "base64 alone": lambda pem: "".join(pem.split("\n")[1:-2]),
    "another END": lambda pem: pem.replace("-----END", "-----END " + pem.split("\n")[1]),
    "a colon in each line": lambda pem: pem.replace("\n", ":\n"),
}


def pieces(pem):
    """Parts of a key file's base64, short enough to be found in a message that cuts it."""
    body = "".join(line for line in pem.split("\n") if line and not line.startswith("-----"))
    return [body[at : at + 12] for at in range(0, len(body) - 12, 6)]


def found_in(text, pem):
    return [piece for piece in pieces(pem) if piece in text]


@pytest.fixture
def pair(authority):
    return authority.issue("app.test", "localhost", file="key-in-messages")


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_command_shows_a_damaged_key(tmp_path, pair, damage):
    pem = pair.key.read_text()
    replace_file(pair.key, DAMAGES[damage](pem).encode(), mode=0o600)
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", pair)))
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())
    one = tmp_path / "one.yaml"
    one.write_text(json.dumps(proxy("127.0.0.1:9", tls={"certificates": [str(both)]})))
    for command in (
        ("check", "--config", file),
        ("check", "--config", one),
        ("check", "--config", pair.key),
        ("show", "--config", pair.key),
        ("explain", "--config", file, "--listener", "web"),
        ("run", "--config", file),
        ("run", "--listen", "127.0.0.1:0", "--backend", "127.0.0.1:9", "--certificate", both),
        ("import", "hitch", pair.key),
        ("import", "stunnel", pair.key),
        ("import", "haproxy", pair.key),
    ):
        told = run(headgate_binary(), *command)
        assert told.returncode != 0, command
        assert not found_in(told.stdout + told.stderr, pem), f"{command}: {told.stdout}{told.stderr}"


@pytest.mark.parametrize("damage", [name for name in DAMAGES if "line breaks" in name or "carriage" in name])
def test_check_says_that_the_line_breaks_of_a_key_are_lost(tmp_path, pair, damage):
    replace_file(pair.key, DAMAGES[damage](pair.key.read_text()).encode(), mode=0o600)
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", pair)))
    assert "the line breaks are lost" in run(headgate_binary(), "check", "--config", file).stdout


PLACES = {
    "a certificate": lambda key: {"tls": {"certificates": [key]}},
    "a private key": lambda key: {"tls": {"certificates": [{"certificate": "a.pem", "private_key": key}]}},
    "a staple": lambda key: {"tls": {"certificates": [{"certificate": "a.pem", "ocsp_staple": key}]}},
    "a directory": lambda key: {"tls": {"certificate_dirs": [key]}},
    "a key log": lambda key: {"tls": {"certificates": ["a.pem"], "keylog_file": key}},
    "a CA": lambda key: {"tls": {"certificates": ["a.pem"], "client_auth": {"mode": "required", "ca": key}}},
    "a CRL": lambda key: {"tls": {"certificates": ["a.pem"], "client_auth": {"mode": "required", "crl": key}}},
    "a ticket secret": lambda key: {"tls": {"certificates": ["a.pem"], "resumption": {"secret_file": key}}},
    "a bind": lambda key: {"bind": key},
    "a unix bind": lambda key: {"bind": "unix:" + key},
    "a name": lambda key: {"name": key},
    "an unknown key": lambda key: {key: 1},
}


def forms(pem):
    """A key as it may stand in YAML: whole, without its line breaks, and its lines without BEGIN and END, of which the last is
    short."""
    lines = pem.split("\n")[1:-2]
    return pem, pem.replace("\n", " "), pem.replace("\n", ""), "".join(lines), " ".join(lines), "\n".join(lines)


def look_for_key(tmp_path, config, pem):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(config))
    for command in ("check", "show", "run"):
        told = run(headgate_binary(), command, "--config", file)
        assert told.returncode != 0, command
        assert not found_in(told.stdout + told.stderr, pem), f"{command}: {told.stdout}{told.stderr}"


@pytest.mark.parametrize("place", PLACES)
def test_no_command_shows_a_key_in_the_place_of_a_value(tmp_path, pair, place):
    pem = pair.key.read_text()
    for form in forms(pem):
        look_for_key(tmp_path, proxy("127.0.0.1:9", listener=PLACES[place](form)), pem)


@pytest.mark.parametrize("place", ["user", "group", "admin", "log", "workers"])
def test_no_command_shows_a_key_in_the_place_of_a_value_of_the_process(tmp_path, pair, place):
    pem = pair.key.read_text()
    for form in forms(pem):
        value = {"admin": {"bind": form}, "log": {"level": form}}.get(place, form)
        look_for_key(tmp_path, {**proxy("127.0.0.1:9", pair), place: value}, pem)


def test_no_option_shows_a_key_in_the_place_of_its_value(tmp_path, pair):
    pem = pair.key.read_text()
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", pair)))
    for form in forms(pem):
        for command in (
            ("check", "--config", form),
            ("run", "--listen", "127.0.0.1:0", "--backend", "127.0.0.1:9", "--certificate", form),
            ("run", "--listen", "127.0.0.1:0", "--backend", "127.0.0.1:9", "--certificate", "a.pem", "--key", form),
            ("import", "hitch", form),
            ("import", form, file),
            ("explain", "--config", form, "--listener", "web"),
            ("explain", "--config", file, "--listener", form),
            ("explain", "--config", file, "--listener", "web", "--source", form),
            ("check", form),
            (form,),
            ("run", "--listen", form, "--backend", form, "--certificate", "a.pem"),
            ("demo", "--listen", form, "--admin", form),
            ("demo", "--backend", form, "--admin", form),
        ):
            told = run(headgate_binary(), *command)
            assert told.returncode != 0
            assert not found_in(told.stdout + told.stderr, pem), f"{command[:2]}: {told.stdout}{told.stderr}"


TICKET_SECRET = "headgate-ticket-secret-1:" + "5eed" * 16


TICKET_KEY = "5eed" * 16


@pytest.mark.parametrize(
    "word", [TICKET_SECRET, f"--secret={TICKET_SECRET}", f"dir/{TICKET_SECRET}", TICKET_KEY]
)
def test_no_message_shows_a_ticket_secret(tmp_path, word):
    file = tmp_path / "headgate.yaml"
    told = run(headgate_binary(), "check", "--config", file, word)
    assert told.returncode == 2
    assert "not shown" in told.stderr and "5eed" not in told.stderr, told.stderr
    for listener in ({"bind": word}, {"name": word}, {word: 1}, {"tls": {"certificates": [word]}}):
        look_for_ticket_key(file, proxy("127.0.0.1:9", listener=listener))


def look_for_ticket_key(file, config):
    file.write_text(json.dumps(config))
    for command in ("check", "show", "run"):
        told = run(headgate_binary(), command, "--config", file)
        assert told.returncode != 0, command
        assert "5eed" not in (told.stdout + told.stderr).lower(), told.stdout + told.stderr


@pytest.mark.parametrize("place", PLACES)
def test_no_command_shows_a_ticket_key_in_the_place_of_a_value(tmp_path, place):
    """64 hexadecimal digits alone: a secret without the words in front of it, or a key of another program."""
    if place == "a unix bind":
        pytest.skip("a unix socket may have a digest for its name")
    for key in (TICKET_KEY, TICKET_KEY.upper(), TICKET_KEY[:60] + "\n" + TICKET_KEY[60:]):
        look_for_ticket_key(tmp_path / "headgate.yaml", proxy("127.0.0.1:9", listener=PLACES[place](key)))


def test_no_option_shows_a_ticket_key_in_the_place_of_its_value(tmp_path, pair):
    file = tmp_path / "headgate.yaml"
    file.write_text(json.dumps(proxy("127.0.0.1:9", pair)))
    for command in (
        ("check", "--config", TICKET_KEY),
        ("run", "--listen", "127.0.0.1:0", "--backend", "127.0.0.1:9", "--certificate", TICKET_KEY),
        ("run", "--listen", TICKET_KEY, "--backend", TICKET_KEY, "--certificate", "a.pem"),
        ("import", "hitch", TICKET_KEY),
        ("import", TICKET_KEY, file),
        ("explain", "--config", file, "--listener", TICKET_KEY),
        ("explain", "--config", file, "--listener", "web", "--source", TICKET_KEY),
        ("demo", "--listen", TICKET_KEY, "--admin", TICKET_KEY),
    ):
        told = run(headgate_binary(), *command)
        assert told.returncode != 0, command[:2]
        assert "5eed" not in told.stdout + told.stderr, f"{command[:2]}: {told.stdout}{told.stderr}"


def test_explain_does_not_show_a_key_in_the_place_of_the_clients_certificate(tmp_path, pair, authority):
    pem = pair.key.read_text()
    file = tmp_path / "headgate.yaml"
    client_auth = {"mode": "required", "ca": str(authority.file)}
    file.write_text(json.dumps(proxy("127.0.0.1:9", pair, tls={"client_auth": client_auth})))
    for form, code in ((pem, 2), (str(pair.key), 1)):
        told = run(headgate_binary(), "explain", "--config", file, "--listener", "web", "--client-cert", form)
        assert told.returncode == code
        assert not found_in(told.stdout + told.stderr, pem), told.stdout + told.stderr


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_answer_and_no_log_line_of_a_reload_shows_a_damaged_key(start, backend, authority, tmp_path, damage):
    pair = authority.issue("app.test", "localhost", file="key-in-reload")
    headgate = start(proxy(backend().address, pair))
    pem = pair.key.read_text()
    replace_file(pair.key, DAMAGES[damage](pem).encode(), mode=0o600)
    status, answer = headgate.post("/reload")
    assert status != 200
    shown = answer + headgate.get("/status.json")[1] + headgate.get("/")[1] + headgate.output
    assert re.search(r"line \d|no private key", shown)
    assert not found_in(shown, pem), shown
