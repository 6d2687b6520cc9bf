"""The questions of docs/metrics.md have an answer: Prometheus evaluates each query over the metrics of one instance."""

import itertools
import re

import pytest
import yaml

from harness.tools import TOP, run, tool

PAGE = (TOP / "docs/metrics.md").read_text(encoding="utf-8")
QUESTIONS = PAGE[PAGE.index("| question | PromQL |") :].partition("\n\n")[0].splitlines()[2:]
METRICS = {
    name: re.findall(r"\w+", re.sub(r"\([^)]*\)", "", labels)) + (["le"] if "histogram" in meaning else [])
    for name, labels, meaning in re.findall(r"^\| `((?:headgate|process)_\w+)` \|([^|]*)\|([^|]*)\|", PAGE, re.M)
}
# The values of labels by which queries choose; every other label has one.
VALUES = {
    "result": ["ok", "failed", "timeout", "shed", "probe"],
    "resumed": ["yes", "no"],
    "phase": ["total", "queue", "cpu", "peer_wait"],
    "le": ["0.1", "+Inf"],
}


def series():
    """A scrape of one instance, each value of which grows by the minute."""
    for name, labels in METRICS.items():
        shown = f"{name}_bucket" if "le" in labels else name
        for values in itertools.product(*(VALUES.get(label, ["one"]) for label in labels)):
            pairs = [("job", "headgate"), ("instance", "one:9464"), *zip(labels, values)]
            text = ",".join(f'{label}="{value}"' for label, value in pairs)
            yield {"series": f"{shown}{{{text}}}", "values": "1+1x90"}


def query_of(row):
    """The query of a row; None where the row has words about another one's."""
    query = re.split(r"(?<!\\)\|", row)[2].strip()
    return query.strip("`").replace("\\|", "|") if re.fullmatch(r"`[^`]+`", query) else None


QUERIES = [query for row in QUESTIONS if (query := query_of(row))]


@pytest.mark.parametrize("query", QUERIES)
def test_a_documented_query_has_an_answer(query, tmp_path):
    (tmp_path / "rules.yml").write_text("groups: []\n")
    asked = {
        "expr": f"clamp_max(count({query}), 1)",
        "eval_time": "80m",
        "exp_samples": [{"labels": "{}", "value": 1}],
    }
    test = {
        "rule_files": ["rules.yml"],
        "tests": [{"interval": "1m", "input_series": list(series()), "promql_expr_test": [asked]}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    told = run(tool("promtool"), "test", "rules", tmp_path / "test.yml")
    assert told.returncode == 0, told.stdout + told.stderr


def test_there_are_questions():
    assert len(QUERIES) > 8
