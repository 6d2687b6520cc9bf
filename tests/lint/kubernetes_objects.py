"""Objects as Kubernetes' API reads them: every field is one that the API has, is of its type, and is there where it must be.

The fields are those of python3-kubernetes, which is made from Kubernetes' own description of its API: 1.22 in bookworm, 1.30 in
trixie. `NEWER` has what the chart uses and 1.22 lacks. ServiceMonitor belongs to Prometheus Operator.
"""

import re

from kubernetes.client import models

KINDS = {
    "v1 ConfigMap": "V1ConfigMap",
    "v1 Service": "V1Service",
    "apps/v1 Deployment": "V1Deployment",
    "policy/v1 PodDisruptionBudget": "V1PodDisruptionBudget",
    "networking.k8s.io/v1 NetworkPolicy": "V1NetworkPolicy",
    "autoscaling/v2 HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler",
}
NEWER = {
    "V1Container": {"restartPolicy": "str"},
    "V1PodDisruptionBudgetSpec": {"unhealthyPodEvictionPolicy": "str"},
}
# Fields by place: a type, a list of it, or the fields of a map; "labels" is a map of texts.
SERVICE_MONITOR = {
    "namespaceSelector": {"any": bool, "matchNames": [str]},
    "selector": {"matchLabels": "labels"},
    "endpoints": [
        {
            "port": str,
            "interval": str,
            "scrapeTimeout": str,
            "relabelings": [{"sourceLabels": [str], "targetLabel": str, "regex": str, "action": str, "replacement": str}],
            "metricRelabelings": [{"sourceLabels": [str], "targetLabel": str, "regex": str, "action": str, "replacement": str}],
        }
    ],
}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float)}
LABEL = r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
NAME = r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?"


def faults(document) -> list[str]:
    """What the API server would not take, as "place: what"."""
    kind = f"{document.get('apiVersion')} {document.get('kind')}"
    if kind == "monitoring.coreos.com/v1 ServiceMonitor":
        found = list(_of_table(document["spec"], SERVICE_MONITOR, "spec"))
    elif kind in KINDS:
        found = list(_of_type(document, KINDS[kind], kind))
    else:
        return [f"{kind}: no such kind"]
    return found + list(_of_names(document["metadata"]))


def _of_names(metadata):
    if not re.fullmatch(NAME, metadata["name"]):
        yield f"metadata.name: {metadata['name']}"
    for key, value in metadata.get("labels", {}).items():
        if not re.fullmatch(LABEL, key) or not re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", value):
            yield f"metadata.labels: {key}: {value}"


def _of_table(value, table, place):
    if isinstance(table, list):
        if not isinstance(value, list):
            yield f"{place}: not a list"
            return
        for number, item in enumerate(value):
            yield from _of_table(item, table[0], f"{place}[{number}]")
    elif isinstance(table, dict):
        for key, item in value.items():
            if key not in table:
                yield f"{place}.{key}: no such field"
            else:
                yield from _of_table(item, table[key], f"{place}.{key}")
    elif table == "labels":
        yield from _of_type(value, "dict(str, str)", place)
    elif not isinstance(value, table):
        yield f"{place}: {value!r} is no {table.__name__}"


def _model(name):
    """A model by its name. 1.22 has version 2 of the autoscaler under the name of its last draft, with the same fields."""
    return getattr(models, name, None) or getattr(models, re.sub("^V2(?!beta)", "V2beta2", name))


def _of_type(value, wanted, place):
    """The faults of one value, which should be of a type as python3-kubernetes writes it: list[T], dict(str, T), T."""
    items = re.fullmatch(r"list\[(.*)\]", wanted)
    entries = re.fullmatch(r"dict\(str, (.*)\)", wanted)
    if items:
        if not isinstance(value, list):
            yield f"{place}: not a list"
            return
        for number, item in enumerate(value):
            yield from _of_type(item, items[1], f"{place}[{number}]")
    elif entries:
        if not isinstance(value, dict):
            yield f"{place}: not a map"
            return
        for key, item in value.items():
            yield from _of_type(item, entries[1], f"{place}.{key}")
    elif wanted in PLAIN:
        if not isinstance(value, PLAIN[wanted]) or (wanted != "bool" and isinstance(value, bool)):
            yield f"{place}: {value!r} is no {wanted}"
    elif wanted != "object":
        yield from _of_model(value, wanted, place)


def _of_model(value, name, place):
    if not isinstance(value, dict):
        yield f"{place}: not a map"
        return
    model = _model(name)
    attributes = {json_name: attribute for attribute, json_name in model.attribute_map.items()}
    given = {}
    for key, item in value.items():
        if key in attributes:
            given[attributes[key]] = item
            yield from _of_type(item, model.openapi_types[attributes[key]], f"{place}.{key}")
        elif key in NEWER.get(name, {}):
            yield from _of_type(item, NEWER[name][key], f"{place}.{key}")
        else:
            yield f"{place}.{key}: no such field"
    try:
        model(**given)  # refuses a field that is missing, and a word that is none of the field's words
    except ValueError as fault:
        yield f"{place}: {fault}"
