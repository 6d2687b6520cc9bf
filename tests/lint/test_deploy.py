"""The programs that the files of deploy are written for can load them."""

import json
import re
import shutil
import subprocess

import pytest
import yaml

from source_tree import ROOT, files, shown

DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("path", sorted(files(".yaml", ".yml", under=DEPLOY)), ids=shown)
def test_yaml_files_are_yaml(path):
    if "templates" in path.parts:
        pytest.skip("a template becomes YAML when it is rendered")
    assert list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", sorted(files(".json", under=ROOT)), ids=shown)
def test_json_files_are_json(path):
    json.loads(path.read_text(encoding="utf-8"))


def test_the_unit_keeps_secrets_from_swap_and_core_files():
    unit = (DEPLOY / "systemd" / "headgate.service").read_text(encoding="utf-8").splitlines()
    assert "MemorySwapMax=0" in unit and "LimitCORE=0" in unit


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_the_unit_is_accepted_by_systemd(tmp_path):
    for unit in (DEPLOY / "systemd" / name for name in ("headgate.service", "headgate.socket")):
        text = unit.read_text(encoding="utf-8")
        (tmp_path / unit.name).write_text(re.sub(r"^(Exec\w+=)\S+", r"\1/bin/true", text, flags=re.M))
    check = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    # systemd before 253 does not know notify-reload, and the unit says what it is to use then.
    ours = [line for line in check.stderr.splitlines() if "headgate" in line and "notify-reload" not in line]
    assert not ours, "\n".join(ours)


ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load((DEPLOY / "alerts/headgate.rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
}
RUNBOOKS = ROOT / "docs/runbooks"


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_leads_to_a_page_that_begins_with_what_its_reader_notices(alert):
    url = ALERTS[alert]["annotations"]["runbook_url"]
    assert url == f"file:///usr/share/doc/headgate/docs/runbooks/{alert}.md", "where the package puts it"
    headings = re.findall(r"^#+ .*", (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8"), re.M)
    assert headings == [
        f"# {alert}", "## What you notice", "## What it means", "## Where to look", "## What to do",
    ]  # fmt: skip


def test_every_page_of_the_runbooks_belongs_to_an_alert_and_is_in_their_table():
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {"README", *ALERTS}
    assert re.findall(r"^\| \[(\w+)\]", (RUNBOOKS / "README.md").read_text(encoding="utf-8"), re.M) == list(ALERTS)


def test_every_alert_has_a_test_in_which_it_fires():
    tests = yaml.safe_load((DEPLOY / "alerts/headgate.rules.test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]}
    assert fired == set(ALERTS)
