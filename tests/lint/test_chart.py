"""The chart and the manifests for Kubernetes, rendered: the API takes them, their parts fit, and wrong values are refused."""

import json
import re
import subprocess

import pytest
import yaml
from harness import chart

from kubernetes_objects import faults
from source_tree import HEADGATE, ROOT, files

pytestmark = pytest.mark.timeout(600)  # the first test builds the engine of the templates
SIDECAR = ROOT / "deploy/kubernetes/sidecar.yaml"
INCLUDING = ROOT / "deploy/kubernetes/chart-with-sidecar"
VALUES = chart.values_files()
MINIMAL = {"backend": "app:8080"}
APPLICATION = {"mode": "sidecar", "application": {"containers": [{"name": "app", "image": "app:1"}]}}


def of(objects, kind):
    return [one for one in objects if one["kind"] == kind]


def values_of(name):
    return yaml.safe_load(VALUES[name].read_text(encoding="utf-8"))


def all_sets():
    """Every set of objects that the project ships or makes, by name."""
    yield "the manifest", lambda: chart.parsed(SIDECAR.read_text(encoding="utf-8"))
    yield "the chart that includes it", lambda: chart.rendered(chart=INCLUDING)
    yield "the fewest values", lambda: chart.rendered(MINIMAL)
    for name in VALUES:
        yield name, lambda name=name: chart.rendered(values_of(name))


@pytest.fixture(scope="module", params=[pytest.param(make, id=name) for name, make in all_sets()])
def objects(request):
    return request.param()


def test_the_api_has_every_field_of_every_object(objects):
    assert {"ConfigMap", "Deployment", "Service"} <= {one["kind"] for one in objects}
    assert not [fault for one in objects for fault in faults(one)]
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))


def test_the_check_of_fields_notices_what_the_api_would_refuse():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}
    assert faults({**service, "spec": {"ports": [{"port": 1}]}}) == []
    assert faults({**service, "spec": {"externalTrafficPolice": "Local"}}) == ["v1 Service.spec.externalTrafficPolice: no such field"]
    assert faults({**service, "spec": {"ports": [{"port": "1"}]}}) == ["v1 Service.spec.ports[0].port: '1' is no int"]
    assert "must not be `None`" in faults({**service, "spec": {"ports": [{"name": "x"}]}})[0]
    assert faults({**service, "metadata": {"name": "A"}}) == ["metadata.name: A"]
    assert faults({**service, "apiVersion": "v2"}) == ["v2 Service: no such kind"]


def test_every_selector_finds_the_pods(objects):
    labels = chart.pod_of(objects)["metadata"]["labels"]
    selectors = [one["spec"]["selector"] for one in of(objects, "Service")]
    selectors += [one["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget") for one in of(objects, kind)]
    selectors += [one["spec"]["podSelector"]["matchLabels"] for one in of(objects, "NetworkPolicy")]
    spread = chart.pod_of(objects)["spec"].get("topologySpreadConstraints", [])
    selectors += [one["labelSelector"]["matchLabels"] for one in spread]
    for selector in selectors:
        assert selector and selector.items() <= labels.items()


def test_services_and_policies_lead_to_ports_of_headgate_by_their_numbers(objects):
    """Kubernetes before 1.32 does not find the name of a sidecar's port."""
    container = chart.container_of(objects)
    ports = {port["containerPort"] for port in container["ports"]}
    assert all(len(port["name"]) <= 15 for port in container["ports"])
    for service in of(objects, "Service"):
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for policy in of(objects, "NetworkPolicy"):
        assert {policy["spec"]["ingress"][place]["ports"][0]["port"] for place in (0, 1)} == ports
    probes = {container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    config = yaml.safe_load(chart.configuration(objects))
    assert {str(port) for port in probes} == {config["admin"]["metrics_bind"].rpartition(":")[2]}
    assert {str(port) for port in ports - probes} == {config["listeners"][0]["bind"].rpartition(":")[2]}


def test_every_mount_has_its_volume_and_no_secret_is_mounted_by_subpath(objects):
    spec = chart.pod_of(objects)["spec"]
    volumes = [volume["name"] for volume in spec["volumes"]]
    assert len(volumes) == len(set(volumes))
    for container in spec["containers"] + spec.get("initContainers", []):
        mounts = container.get("volumeMounts", [])
        assert {mount["name"] for mount in mounts} <= set(volumes)
        assert not any("subPath" in mount for mount in mounts)
    (config,) = of(objects, "ConfigMap")
    assert config["metadata"]["name"] in [volume.get("configMap", {}).get("name") for volume in spec["volumes"]]


def test_headgate_runs_without_rights_and_may_read_the_secret(objects):
    spec = chart.pod_of(objects)["spec"]
    rights = chart.container_of(objects)["securityContext"]
    assert rights["runAsUser"] == rights["runAsGroup"] == 65532 and rights["runAsNonRoot"] is True
    assert rights["readOnlyRootFilesystem"] is True and rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]} and rights["seccompProfile"] == {"type": "RuntimeDefault"}
    secrets = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]
    assert secrets and {secret["defaultMode"] for secret in secrets} == {0o440}
    assert spec["securityContext"]["fsGroup"] > 0, "or files of mode 0440 are root's alone"


def test_the_pod_has_time_for_its_drain(objects):
    spec = chart.pod_of(objects)["spec"]
    drain = yaml.safe_load(chart.configuration(objects))["drain"]
    seconds = [int(drain.get(key, "0s").removesuffix("s")) for key in ("accept_for", "deadline")]
    assert spec["terminationGracePeriodSeconds"] >= sum(seconds) + 10


def test_a_sidecar_starts_first_and_ends_last(objects):
    spec = chart.pod_of(objects)["spec"]
    if chart.container_of(objects) in spec["containers"]:
        assert "restartPolicy" not in chart.container_of(objects)
        return
    assert spec["initContainers"][0]["name"] == "headgate" and spec["initContainers"][0]["restartPolicy"] == "Always"
    assert "accept_for: 0s" in chart.configuration(objects), "its application has ended before it is told to"
    assert all("preStop" in container["lifecycle"] for container in spec["containers"]), "balancers need time to notice"


@pytest.mark.skipif(not HEADGATE.exists(), reason="the binary is not built")
def test_headgate_accepts_every_configuration_but_for_its_absent_files(objects):
    text = re.sub(r"/etc/headgate", "/nonexistent", chart.configuration(objects))
    told = subprocess.run([HEADGATE, "check", "-"], input=text, capture_output=True, text=True, check=False)
    lines = [line for line in told.stdout.splitlines() if ": note: " not in line and "/nonexistent" not in line]
    assert "/nonexistent/certificate/tls.crt" in told.stdout and not lines, told.stdout + told.stderr


def test_each_value_of_everything_is_in_what_is_made():
    made = chart.rendered(values_of("everything"))
    text = json.dumps(made)
    for word in (
        "aws-load-balancer-scheme", "2001:db8::/32", "service.k8s.aws/nlb", "PreferDualStack", "30432", "5432", "edge-metrics",
        "safe-to-evict", "system-cluster-critical", "headgate-tickets", "maxSurge", "podAntiAffinity", "kubernetes.io/os", "50%",
        "AlwaysAllow", "stabilizationWindowSeconds", "__meta_kubernetes_pod_node_name", "every_name", "topology.kubernetes.io/zone",
    ):  # fmt: skip
        assert word in text, word
    (autoscaler,), (deployment,) = of(made, "HorizontalPodAutoscaler"), of(made, "Deployment")
    assert "replicas" not in deployment["spec"], "or each `helm upgrade` undoes what the autoscaler did"
    assert autoscaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert [metric["type"] for metric in autoscaler["spec"]["metrics"]] == ["Resource", "Pods"]


def test_the_service_monitor_finds_the_service_of_the_metrics_alone():
    made = chart.rendered(values_of("everything"))
    (monitor,) = of(made, "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    (found,) = [one for one in of(made, "Service") if wanted <= one["metadata"]["labels"].items()]
    assert [port["name"] for port in found["spec"]["ports"]] == [monitor["spec"]["endpoints"][0]["port"]]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [found["metadata"]["namespace"]]}
    assert "prometheus.io/scrape" not in chart.pod_of(made)["metadata"]["annotations"], "nothing is read twice"


def test_only_the_named_namespaces_reach_the_metrics():
    (policy,) = of(chart.rendered(values_of("everything")), "NetworkPolicy")
    (rule,) = [rule for rule in policy["spec"]["ingress"] if rule["ports"][0]["port"] == 9465]
    assert rule["from"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["monitoring"]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    (policy,) = of(chart.rendered({**MINIMAL, "networkPolicy": {"enabled": True}}), "NetworkPolicy")
    assert policy["spec"]["ingress"] == [{"ports": [{"port": 8443, "protocol": "TCP"}]}]
    assert policy["spec"]["policyTypes"] == ["Ingress"] and "egress" not in policy["spec"]


def test_an_image_by_its_digest_has_no_tag():
    image = chart.container_of(chart.rendered(values_of("mtls-sidecar")))["image"]
    assert re.fullmatch(r"registry\.example\.com/headgate@sha256:[0-9a-f]{64}", image)


@pytest.mark.parametrize(
    "values, fault",
    [
        ({"replica": 3}, "replica"),
        ({"mode": "daemonset"}, "mode: 'daemonset' is not one of"),
        ({"replicas": "3"}, "replicas: '3' is not of type 'integer'"),
        ({"port": 443}, "port: 443 is less than the minimum of 1024"),
        ({"image": {"repository": "registry.example.com/headgate:0.2.0"}}, "image.repository"),
        ({"image": {"digest": "0123"}}, "image.digest"),
        ({"service": {"externalTrafficPolicy": "Local"}}, "service.externalTrafficPolicy"),
        ({"service": {"type": "NodePort", "loadBalancerClass": "x"}}, "service.loadBalancerClass"),
        ({"service": {"annotation": {}}}, "annotation"),
        ({"service": {"annotations": {"a": True}}}, "service.annotations.a: True is not of type 'string'"),
        ({"serviceMonitor": {"interval": "30"}}, "serviceMonitor.interval"),
        ({"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}, "podDisruptionBudget"),
        ({"podDisruptionBudget": {"minAvailable": "half"}}, "podDisruptionBudget.minAvailable"),
        ({"autoscaling": {"enabled": True, "cpuPercent": 0}}, "autoscaling"),
        ({"networkPolicy": {"metricsNamespaces": "monitoring"}}, "networkPolicy.metricsNamespaces"),
        ({"options": {"listeners": []}}, "options"),
        ({"acceptSeconds": "10s"}, "acceptSeconds"),
        ({"mode": "sidecar"}, "application.containers: [] "),
        ({"application": {"containers": [{"name": "app"}]}}, "application.containers"),
        ({"backend": ""}, "mode deployment needs backend"),
        ({"mode": "included"}, "mode included needs selectorLabels"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(values, fault):
    with pytest.raises(chart.Refused) as told:
        chart.texts({**MINIMAL, **values})
    assert fault in str(told.value)


def test_a_value_that_is_null_is_the_same_as_one_that_is_absent():
    """Some versions of Helm drop the chart's own nulls."""
    nulls = {"acceptSeconds": None, "networkPolicy": {"egress": None}, "podDisruptionBudget": {"minAvailable": None, "maxUnavailable": None}}
    assert chart.texts({**MINIMAL, **nulls}) == chart.texts(MINIMAL)


def test_options_of_the_listener_and_the_backend_are_in_the_configuration_beside_those_of_the_chart():
    more = {"listenerOptions": {"proxy_protocol": {"from": ["10.0.0.0/8"]}}, "backendOptions": {"balance": "random_two"}}
    config = yaml.safe_load(chart.configuration(chart.rendered({**MINIMAL, **more})))
    (listener,) = config["listeners"]
    assert listener["proxy_protocol"] == {"from": ["10.0.0.0/8"]} and listener["tls"]["certificates"]
    assert config["backends"] == {"app": {"servers": ["app:8080"], "balance": "random_two"}}


def test_the_schema_describes_every_value_and_no_other():
    def keys(node, schema, place=""):
        for key, value in node.items():
            assert key in schema["properties"], place + key
            if isinstance(value, dict) and "properties" in schema["properties"][key]:
                keys(value, schema["properties"][key], f"{place}{key}.")
        assert set(schema["properties"]) - set(node) <= {"global"}, place

    folder = chart.CHART
    schema = json.loads((folder / "values.schema.json").read_text(encoding="utf-8"))
    keys(yaml.safe_load((folder / "values.yaml").read_text(encoding="utf-8")), schema)


def test_every_value_is_used_and_every_used_value_is_declared():
    text = "".join(path.read_text(encoding="utf-8") for path in files(under=chart.CHART / "templates"))
    used = set(re.findall(r"\.Values\.(\w+)", text))
    assert used == set(yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8")))


def test_the_notes_name_what_must_be_there():
    notes = chart.texts(values_of("everything"))["headgate/templates/NOTES.txt"]
    assert "Deployment edge in the namespace shop" in notes and "Secret app-tls" in notes
    assert "/namespaces/shop/pods/*/handshakes_per_second'" in notes
    assert "autoscaler" not in chart.texts(APPLICATION)["headgate/templates/NOTES.txt"]


PAGE = ROOT / "docs/kubernetes.md"


def test_the_page_shows_parts_of_files_that_are_tested():
    """What is shown stands in one of them, but for its comments and how far it is indented."""

    def plain(text):
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
        return " ".join(" ".join(lines).split())

    shown = re.findall(r"^ *```yaml\n(.*?)^ *```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    tested = [*VALUES.values(), *files(".yaml", under=ROOT / "deploy/kubernetes")]
    texts = [plain(path.read_text(encoding="utf-8")) for path in tested]
    assert len(shown) >= 6
    for part in shown:
        assert any(plain(part) in text for text in texts), part


def test_the_page_names_values_that_the_chart_has():
    declared = json.dumps(yaml.safe_load((chart.CHART / "values.yaml").read_text(encoding="utf-8")))
    table = re.search(r"^\| for \| values \|\n(.*?)\n\n", PAGE.read_text(encoding="utf-8"), re.M | re.S)[1]
    names = re.findall(r"`([\w.]+)`", table)
    assert len(names) > 10 and not [name for name in names if f'"{name.rpartition(".")[2]}":' not in declared]


RULE = """
rule_files: [rule.yml]
tests:
  - interval: 30s
    input_series:
      - {series: 'headgate_handshakes_total{namespace="shop",pod="a",result="ok",listener="web"}', values: '0+300x20'}
      - {series: 'headgate_handshakes_total{namespace="shop",pod="a",result="failed",listener="web"}', values: '0+30x20'}
      - {series: 'headgate_handshakes_total{namespace="shop",pod="a",result="probe",listener="web"}', values: '0+3000x20'}
      - {series: 'headgate_handshakes_total{namespace="shop",pod="b",result="ok",listener="web"}', values: '0+60x20'}
    promql_expr_test:
      - expr: asked
        eval_time: 8m
        exp_samples:
          - {labels: 'asked{pod="a"}', value: 11}
          - {labels: 'asked{pod="b"}', value: 2}
"""


def test_the_rule_of_the_adapter_gives_the_handshakes_of_each_pod(tmp_path):
    (rule,) = yaml.safe_load((ROOT / "deploy/kubernetes/prometheus-adapter.yaml").read_text(encoding="utf-8"))["rules"]["custom"]
    (autoscaler,) = of(chart.rendered(values_of("everything")), "HorizontalPodAutoscaler")
    assert rule["name"]["as"] == autoscaler["spec"]["metrics"][1]["pods"]["metric"]["name"]
    query = rule["metricsQuery"]
    for word, value in (("Series", "headgate_handshakes_total"), ("LabelMatchers", 'namespace="shop",pod=~"a|b"'), ("GroupBy", "pod")):
        query = query.replace(f"<<.{word}>>", value)
    groups = [{"name": "adapter", "rules": [{"record": "asked", "expr": query}]}]
    (tmp_path / "rule.yml").write_text(json.dumps({"groups": groups}), encoding="utf-8")
    (tmp_path / "test.yml").write_text(RULE, encoding="utf-8")
    told = subprocess.run(["promtool", "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
