"""Servers that want STARTTLS, and clients that know nothing of TLS: PostgreSQL, Postfix, Dovecot and OpenLDAP."""

import imaplib
import os
import poplib
import smtplib
import time

import pytest

from harness.config import plain_proxy
from harness.servers import dovecot, postfix, postgres, slapd
from harness.tools import run, tool

MESSAGE = b"Subject: over plaintext\r\nFrom: <a@mail.test>\r\n\r\nand then TLS\r\n"


@pytest.fixture
def before(start, authority):
    """Starts Headgate without TLS before a server that it asks for TLS in `protocol`. Health checks ask, too."""

    def start_one(address, protocol):
        tls = {"ca": str(authority.file), "server_name": "localhost", "starttls": protocol}
        check = {"type": "tls", "interval": "200ms", "timeout": "5s"}
        return start(plain_proxy(address, app={"tls": tls, "health_check": check, "connect_timeout": "10s"}))

    return start_one


def is_well(headgate):
    """Whether the server is up by its checks, and no connection to it has failed."""
    assert headgate.metric("headgate_backend_up") == 1
    assert headgate.metric("headgate_backend_connect_failures_total") == 0
    assert not headgate.log_with(message="server is down")


def test_psql_without_tls_reaches_a_postgres_that_wants_it(before, certificate):
    with postgres(certificate) as server:
        headgate = before(server.address, "postgres")
        where = f"host=127.0.0.1 port={headgate.port()} user=app dbname=postgres sslmode=disable gssencmode=disable"
        asked = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
        told = run(tool("psql"), "-X", "-A", "-t", "-c", asked, where, env={**os.environ, "PGCONNECT_TIMEOUT": "20"})
        assert told.stdout == "t|TLSv1.3\n", told
        is_well(headgate)


def test_an_imap_client_without_tls_logs_in_and_stores_a_message(before, certificate):
    with dovecot(certificate) as server:
        headgate = before(f"{server.host}:1143", "imap")
        client = imaplib.IMAP4("127.0.0.1", headgate.port(), timeout=20)
        assert "STARTTLS" not in client.capabilities and "LOGINDISABLED" not in client.capabilities
        assert client.login("someone", "secret")[0] == "OK"
        assert client.append("INBOX", "", imaplib.Time2Internaldate(time.time()), MESSAGE)[0] == "OK"
        client.select("INBOX")
        assert client.fetch("1", "(BODY[])")[1][0][1] == MESSAGE
        client.logout()
        is_well(headgate)


def test_a_pop3_client_without_tls_logs_in(before, certificate):
    with dovecot(certificate) as server:
        headgate = before(f"{server.host}:1110", "pop3")
        client = poplib.POP3("127.0.0.1", headgate.port(), timeout=20)
        client.user("someone")
        client.pass_("secret")
        assert client.stat() == (0, 0)
        client.quit()
        is_well(headgate)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start Postfix")
def test_a_program_that_only_sends_plain_mail_reaches_a_postfix_that_wants_tls(before, certificate):
    with postfix(certificate) as server:
        headgate = before(server.address, "smtp")
        with smtplib.SMTP("127.0.0.1", headgate.port(), timeout=20) as client:
            client.ehlo()
            assert not client.has_extn("starttls")
            assert client.sendmail("a@mail.test", ["b@mail.test"], MESSAGE) == {}
        is_well(headgate)


def test_an_ldap_client_without_tls_writes_and_reads(before, certificate):
    with slapd(certificate) as server:
        headgate = before(server.address, "ldap")
        who = ["-x", "-H", f"ldap://127.0.0.1:{headgate.port()}", "-D", "cn=admin,dc=test", "-w", "secret"]
        entry = "dn: dc=test\nobjectClass: dcObject\nobjectClass: organization\ndc: test\no: over plaintext\n"
        told = run(tool("ldapadd"), *who, stdin=entry)
        assert told.returncode == 0, told
        told = run(tool("ldapsearch"), *who, "-LLL", "-b", "dc=test", "o")
        assert "o: over plaintext" in told.stdout, told
        is_well(headgate)
