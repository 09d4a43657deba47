"""The manifest for KubeRay: its schema accepts it, it survives what it says, and it is closed. Nothing is launched."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.kuberay_rules import JOB, Manifest, accept, image_problems, load_all, problems
from tests.cluster.launch_rules import ROOT, marks

IMAGE = "clusters/Dockerfile"


@pytest.fixture
def manifest() -> Manifest:
    return load_all(JOB)


def test_kuberay_accepts_it(manifest: Manifest) -> None:
    assert accept(manifest) == []


@pytest.mark.parametrize("place", ["cluster", "container"])
def test_kuberay_would_drop_a_misspelled_key(manifest: Manifest, place: str) -> None:
    cluster = manifest[0]["spec"]["rayClusterSpec"]
    inside = cluster if place == "cluster" else cluster["headGroupSpec"]["template"]["spec"]["containers"][0]
    inside["authOption"] = {}
    assert any("authOption" in problem for problem in accept(manifest))


def test_our_rules_accept_it(manifest: Manifest) -> None:
    assert problems(manifest) == []


def test_the_same_on_s3_needs_no_volume(manifest: Manifest) -> None:
    spec = manifest[0]["spec"]
    spec["entrypoint"] = spec["entrypoint"].replace("/mnt/shared/runs", "s3://bucket/prefix")
    for template in (_head(manifest)["template"], _worker(manifest)["template"]):
        template["spec"]["volumes"] = [v for v in template["spec"]["volumes"] if v["name"] != "storage"]
        for container in template["spec"]["containers"]:
            container["volumeMounts"] = [m for m in container["volumeMounts"] if m["name"] != "storage"]
    assert accept(manifest) == problems(manifest) == []


def test_the_storage_is_one_that_many_nodes_mount_and_lies_in_a_file_of_its_own(manifest: Manifest) -> None:
    (claim,) = load_all("clusters/kuberay_storage.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    volumes = _worker(manifest)["template"]["spec"]["volumes"]
    assert [v["persistentVolumeClaim"]["claimName"] for v in volumes] == [claim["metadata"]["name"]]


def test_what_a_person_fills_in_is_marked() -> None:
    assert marks(JOB) == ["FILL_IN_IMAGE", "FILL_IN_OPERATOR_NAMESPACE"]
    assert marks("clusters/kuberay_storage.yaml") == ["FILL_IN_STORAGE_CLASS"]


def test_the_image_has_the_versions_that_were_tested() -> None:
    assert image_problems((ROOT / IMAGE).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("==2.60.0", "==2.40.0", "another Ray"),
        ("--constraint /src/constraints.txt ", "", "other versions"),
        ("PYTHON=3.11.13", "PYTHON=3.11", "another Python"),
        ("USER 1000", "USER root", "as root"),
        ("wget", "curl", "no wget"),
    ],
)
def test_our_rules_refuse_an_image(old: str, new: str, said: str) -> None:
    text = (ROOT / IMAGE).read_text(encoding="utf-8")
    assert old in text
    assert any(said in problem for problem in image_problems(text.replace(old, new)))


def _cluster(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = manifest[0]["spec"]["rayClusterSpec"]
    return found


def _head(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = _cluster(manifest)["headGroupSpec"]
    return found


def _worker(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = _cluster(manifest)["workerGroupSpecs"][0]
    return found


def _pod(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = _worker(manifest)["template"]["spec"]
    return found


def _no_token(manifest: Manifest) -> None:
    del _cluster(manifest)["authOptions"]


def _open_submitter(manifest: Manifest) -> None:
    manifest[0]["spec"]["submitterPodTemplate"]["spec"]["containers"][0]["env"] = []


def _open_head(manifest: Manifest) -> None:
    _head(manifest)["template"]["spec"]["containers"][0]["env"].pop(0)


def _open_first(manifest: Manifest) -> None:
    _pod(manifest)["initContainers"] = [{"name": "first", "image": "FILL_IN_IMAGE"}]


def _public_head(manifest: Manifest) -> None:
    _head(manifest)["serviceType"] = "LoadBalancer"


def _public_service_of_ours(manifest: Manifest) -> None:
    _head(manifest)["headService"] = {"spec": {"type": "NodePort"}}


def _ingress(manifest: Manifest) -> None:
    _head(manifest)["enableIngress"] = True


def _another_service(manifest: Manifest) -> None:
    manifest.append({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"}})


def _host_network(manifest: Manifest) -> None:
    _pod(manifest)["hostNetwork"] = True


def _host_port(manifest: Manifest) -> None:
    ports = [{"containerPort": 8265, "hostPort": 8265}]
    _head(manifest)["template"]["spec"]["containers"][0]["ports"] = ports


def _no_policy(manifest: Manifest) -> None:
    del manifest[1]


def _unlabelled(manifest: Manifest) -> None:
    _worker(manifest)["template"]["metadata"]["labels"] = {}


def _any_pod(manifest: Manifest) -> None:
    manifest[1]["spec"]["ingress"][0] = {"from": [{"namespaceSelector": {}}]}


def _more_ports(manifest: Manifest) -> None:
    del manifest[1]["spec"]["ingress"][1]["ports"]


def _outgoing_only(manifest: Manifest) -> None:
    manifest[1]["spec"]["policyTypes"] = ["Egress"]


def _working_head(manifest: Manifest) -> None:
    _head(manifest)["rayStartParams"] = {}


def _hasty_stop(manifest: Manifest) -> None:
    _head(manifest)["template"]["spec"]["containers"][0]["env"].pop()


def _other_ray(manifest: Manifest) -> None:
    _cluster(manifest)["rayVersion"] = "2.52.0"


def _other_image(manifest: Manifest) -> None:
    _pod(manifest)["containers"][0]["image"] = "registry.example/pdsearch:2"


def _latest(manifest: Manifest) -> None:
    for container in (
        manifest[0]["spec"]["submitterPodTemplate"]["spec"]["containers"][0],
        _head(manifest)["template"]["spec"]["containers"][0],
        _pod(manifest)["containers"][0],
    ):
        container["image"] = "registry.example/pdsearch:latest"


def _other_mode(manifest: Manifest) -> None:
    manifest[0]["spec"]["submissionMode"] = "HTTPMode"


def _impatient_submitter(manifest: Manifest) -> None:
    del manifest[0]["spec"]["submitterConfig"]


def _one_cluster(manifest: Manifest) -> None:
    del manifest[0]["spec"]["backoffLimit"]


def _fixed_cluster(manifest: Manifest) -> None:
    manifest[0]["spec"]["clusterSelector"] = {"ray.io/cluster": "mine"}


def _serial(manifest: Manifest) -> None:
    manifest[0]["spec"]["entrypoint"] = "pdsearch run /etc/pdsearch/space.yaml --set storage=/mnt/shared/runs"


def _lasting(manifest: Manifest) -> None:
    del manifest[0]["spec"]["shutdownAfterJobFinishes"]


def _endless(manifest: Manifest) -> None:
    del manifest[0]["spec"]["activeDeadlineSeconds"]


def _idle(manifest: Manifest) -> None:
    _worker(manifest)["minReplicas"] = 1


def _results_with_the_job(manifest: Manifest) -> None:
    manifest += load_all("clusters/kuberay_storage.yaml")


def _elsewhere(manifest: Manifest) -> None:
    manifest[0]["spec"]["entrypoint"] = "pdsearch run /etc/pdsearch/space.yaml --address auto"


def _unmounted(manifest: Manifest) -> None:
    _pod(manifest)["containers"][0]["volumeMounts"] = []


def _not_shared(manifest: Manifest) -> None:
    _pod(manifest)["volumes"] = [{"name": "storage", "emptyDir": {}}]


def _root(manifest: Manifest) -> None:
    _pod(manifest)["securityContext"] = {}


def _asking(manifest: Manifest) -> None:
    del _pod(manifest)["automountServiceAccountToken"]


def _gaining(manifest: Manifest) -> None:
    _pod(manifest)["containers"][0]["securityContext"] = {}


def _greedy(manifest: Manifest) -> None:
    del _pod(manifest)["containers"][0]["resources"]["limits"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_token, "asks for no token"),
        (_open_submitter, "submitter's submitter would run without"),
        (_open_head, "head's ray-head would run without"),
        (_open_first, "gpu's first would run without"),
        (_public_head, "service is public"),
        (_public_service_of_ours, "service is public"),
        (_ingress, "service is public"),
        (_another_service, "a Service opens"),
        (_host_network, "gpu listens on"),
        (_host_port, "ray-head listens on"),
        (_no_policy, "any pod may reach head"),
        (_unlabelled, "any pod may reach gpu"),
        (_any_pod, "lets any pod in"),
        (_more_ports, "more than the dashboard"),
        (_outgoing_only, "none for what comes in"),
        (_working_head, "on the head"),
        (_hasty_stop, "before it has saved"),
        (_other_ray, "another Ray"),
        (_other_image, "different images"),
        (_latest, "left open"),
        (_other_mode, "nobody submits again"),
        (_impatient_submitter, "gives up before"),
        (_one_cluster, "ends the search"),
        (_fixed_cluster, "another cluster"),
        (_serial, "not one that resumes"),
        (_lasting, "goes on costing"),
        (_endless, "goes on costing"),
        (_idle, "stay when"),
        (_results_with_the_job, "deletes the results"),
        (_elsewhere, "do not lie on the storage"),
        (_unmounted, "gpu does not see"),
        (_not_shared, "gpu does not see"),
        (_root, "gpu may run as root"),
        (_asking, "gpu may ask"),
        (_gaining, "may gain rights"),
        (_greedy, "whole machine"),
    ],
)
def test_our_rules_refuse(manifest: Manifest, spoil: Callable[[Manifest], None], said: str) -> None:
    # Anchors of the file are one object in memory: a copy without them, so that one pod is spoiled alone.
    spoiled: Manifest = [_unshared(document) for document in manifest]
    spoil(spoiled)
    assert any(said in problem for problem in problems(spoiled))


def _unshared(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unshared(inner) for name, inner in value.items()}
    return [_unshared(inner) for inner in value] if isinstance(value, list) else value
