"""Renders a chart as Helm does. Debian has no package of Helm, but Go's templates and sprig, of which Helm is made."""

import atexit
import functools
import json
import os
import shutil
import tempfile
from pathlib import Path

import jsonschema
import yaml

from harness.tools import TOP, run, tool

CHART = TOP / "deploy/helm/headgate"
RELEASE = {"Name": "web", "Namespace": "shop", "Service": "Helm", "Revision": 1, "IsInstall": True, "IsUpgrade": False}


class Refused(Exception):
    """Helm would install nothing: the values do not fit the schema, or a template fails."""


class _StrictLoader(yaml.SafeLoader):
    """Kubernetes' own reader refuses a key that comes twice."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        assert not twice, f"{sorted(twice)} twice: {node.start_mark}"
        return super().construct_mapping(node, deep)


def parsed(text):
    """The documents of a YAML text, without the empty ones."""
    return [document for document in yaml.load_all(text, _StrictLoader) if document]


def _merged(over, under):
    """Values of the user over those of the chart. A key that the user sets to null goes."""
    found = dict(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(found.get(key), dict):
            found[key] = _merged(value, found[key])
        elif value is None and key in found:
            del found[key]
        else:
            found[key] = value
    return found


@functools.cache
def _engine():
    directory = Path(tempfile.mkdtemp(prefix="headgate-helm-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    program = directory / "engine"
    told = run(
        tool("go"), "build", "-o", program, Path(__file__).with_name("helm_engine.go"), seconds=600,
        env={"HOME": str(directory), **os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOFLAGS": ""},
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    return program


def _loaded(folder, given, name, templates, tops):
    """Adds a chart and those that it depends on; returns what "." is in its templates."""
    about = yaml.safe_load((folder / "Chart.yaml").read_text())
    own = folder / "values.yaml"
    values = _merged(given, yaml.safe_load(own.read_text()) or {} if own.exists() else {})
    below = {}
    for dependency in about.get("dependencies", []):
        other = (folder / dependency["repository"].removeprefix("file://")).resolve()
        # As Helm does, a chart's values for a dependency win over the dependency's own.
        below[dependency["name"]] = _loaded(
            other, values.get(dependency["name"], {}), f"{name}/charts/{dependency['name']}", templates, tops
        )
        values[dependency["name"]] = below[dependency["name"]]["Values"]
    schema = folder / "values.schema.json"
    if schema.exists():
        faults = jsonschema.Draft7Validator(json.loads(schema.read_text())).iter_errors(values)
        told = [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in faults]
        if told:
            raise Refused("\n".join(told))
    top = {
        "Values": values,
        "Chart": {key[0].upper() + key[1:]: value for key, value in about.items()},
        "Release": RELEASE,
        "Subcharts": below,
    }
    for path in sorted((folder / "templates").iterdir()):
        templates[f"{name}/templates/{path.name}"] = path.read_text()
        if not path.name.startswith("_"):
            tops[f"{name}/templates/{path.name}"] = top
    return top


def texts(values=None, chart=CHART):
    """Each rendered file of a chart, by its name."""
    templates, tops = {}, {}
    _loaded(chart, values or {}, chart.name, templates, tops)
    told = run(_engine(), stdin=json.dumps({"templates": templates, "tops": tops}))
    if told.returncode != 0:
        raise Refused(told.stderr)
    return json.loads(told.stdout)


def rendered(values=None, chart=CHART):
    """All objects that Helm would install."""
    files = texts(values, chart)
    return [document for name, text in sorted(files.items()) if name.endswith(".yaml") for document in parsed(text)]


def values_files():
    """The values that the chart is tried with, by name."""
    return {path.stem.removesuffix("-values"): path for path in sorted(CHART.glob("ci/*-values.yaml"))}


def configuration(objects):
    """Headgate's configuration file among rendered objects."""
    (text,) = [one["data"]["headgate.yaml"] for one in objects if one["kind"] == "ConfigMap"]
    return text


def pod_of(objects):
    """The template of the pods of the one Deployment."""
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    return deployment["spec"]["template"]


def container_of(objects):
    """Headgate's container in that Deployment, wherever it is."""
    spec = pod_of(objects)["spec"]
    (found,) = [one for one in spec.get("initContainers", []) + spec["containers"] if one["name"] == "headgate"]
    return found
