"""Reads a page in the Prometheus text format."""

import re
from typing import NamedTuple

_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


class Sample(NamedTuple):
    name: str
    labels: dict
    value: float


class Exposition:
    """The samples and types of one scrape."""

    def __init__(self, text):
        self.text = text
        self.types = {}
        self.samples = []
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                self.types[name] = kind
            elif line and not line.startswith("#"):
                self.samples.append(_sample(line))

    def matching(self, name, **labels):
        """The samples of `name` whose labels include `labels`."""
        wanted = labels.items()
        return [s for s in self.samples if s.name == name and wanted <= s.labels.items()]

    def value(self, name, **labels):
        """The sum over the matching samples; 0 when no sample matches, since labels appear with their first event."""
        return sum(sample.value for sample in self.matching(name, **labels))


def _sample(line):
    match = _SAMPLE.match(line)
    assert match, f"not a sample of the text format: {line!r}"
    name, labels, value = match.groups()
    return Sample(name, {key: _unescaped(text) for key, text in _LABEL.findall(labels or "")}, float(value))


def _unescaped(text):
    return re.sub(r"\\(.)", lambda match: "\n" if match.group(1) == "n" else match.group(1), text)
