"""Each counter that a worker writes is in the table of metrics: it is not counted in vain."""

import re

import pytest

from source_tree import SRC

STRUCT = re.compile(r"^struct (\w+Metrics) \{\n(.*?)^\};", re.M | re.S)
MEMBER = re.compile(r"(\w+);")


def counters() -> list[str]:
    """"Struct::member" for every counter of a worker."""
    header = re.sub(r"//.*", "", (SRC / "metrics/worker_metrics.h").read_text(encoding="utf-8"))
    found = [f"{struct}::{name}" for struct, body in STRUCT.findall(header) for name in MEMBER.findall(body)]
    assert len(found) > 20, "the structs are not understood"
    return found


@pytest.mark.parametrize("counter", counters())
def test_a_counter_of_a_worker_is_exported(counter):
    table = (SRC / "metrics/metrics.cc").read_text(encoding="utf-8")
    assert re.search(rf"&{counter}\b", table), "give it a row, or drop it"
