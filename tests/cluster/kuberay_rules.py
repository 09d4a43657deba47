"""Rules for our manifest that KubeRay does not enforce itself; each breach is returned as a sentence."""

import importlib.metadata
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from tests.cluster.launch_rules import MOUNT, ROOT

Manifest = list[dict[str, Any]]
JOB = "clusters/kuberay_rayjob.yaml"
OPENING = {"Service", "Ingress", "HTTPRoute", "TCPRoute", "Gateway", "Route"}


def load_all(name: str) -> Manifest:
    """Return the documents of a file of the repository."""
    return list(yaml.safe_load_all((ROOT / name).read_text(encoding="utf-8")))


def accept(manifest: Manifest) -> list[str]:
    """Return what KubeRay's own schema says against the job."""
    schema = json.loads((ROOT / "tests/cluster/kuberay_rayjob.schema.json").read_text(encoding="utf-8"))
    errors = Draft202012Validator(schema).iter_errors(_job(manifest))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def problems(manifest: Manifest) -> list[str]:
    """Return what is wrong with a manifest by our own rules."""
    rules: tuple[Callable[[Manifest], Iterator[str]], ...] = (
        _token,
        _closed,
        _policy,
        _head,
        _versions,
        _survives,
        _ends,
        _storage,
        _pods,
    )
    return [problem for rule in rules for problem in rule(manifest)]


def image_problems(text: str) -> list[str]:
    """Return what is wrong with the image's recipe."""
    found = []
    if re.findall(r"ray\[[a-z,]+\]==([0-9.]+)", text) != [importlib.metadata.version("ray")]:
        found.append("the image has another Ray than the version tested")
    if "--constraint /src/constraints.txt" not in text:
        found.append("the image has other versions than those tested")
    if not re.search(r"^ARG PYTHON=3\.11\.\d+\nFROM python:\$\{PYTHON\}-slim-\w+$", text, re.MULTILINE):
        found.append("the image has another Python than the version tested")
    if re.findall(r"^USER (\S+)$", text, re.MULTILINE)[-1:] != ["1000"]:
        found.append("the image runs as root")
    if "wget" not in text:
        found.append("KubeRay's probes find no wget")
    return found


def _job(manifest: Manifest) -> dict[str, Any]:
    (job,) = (document for document in manifest if document["kind"] == "RayJob")
    return job


def _templates(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """Return the pods by name: submitter, head, and each group of workers."""
    spec = _job(manifest)["spec"]
    cluster = spec["rayClusterSpec"]
    workers = {group["groupName"]: group["template"] for group in cluster["workerGroupSpecs"]}
    return {
        "submitter": spec["submitterPodTemplate"],
        "head": cluster["headGroupSpec"]["template"],
        **workers,
    }


def _containers(manifest: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, template in _templates(manifest).items():
        spec = template["spec"]
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            yield f"{name}'s {container['name']}", container


def _token(manifest: Manifest) -> Iterator[str]:
    if _job(manifest)["spec"]["rayClusterSpec"].get("authOptions", {}).get("mode") != "token":
        yield "the cluster asks for no token"
    for name, container in _containers(manifest):
        if {"name": "RAY_AUTH_MODE", "value": "token"} not in container.get("env", []):
            yield f"{name} would run without a token under an operator that knows none"


def _closed(manifest: Manifest) -> Iterator[str]:
    head = _job(manifest)["spec"]["rayClusterSpec"]["headGroupSpec"]
    service = head.get("headService", {}).get("spec", {}).get("type", "ClusterIP")
    if head.get("serviceType") != "ClusterIP" or service != "ClusterIP" or head.get("enableIngress"):
        yield "the head's service is public"
    for document in manifest:
        if document["kind"] in OPENING:
            yield f"a {document['kind']} opens Ray to others"
    for name, template in _templates(manifest).items():
        if template["spec"].get("hostNetwork"):
            yield f"{name} listens on its machine's network"
    for name, container in _containers(manifest):
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{name} listens on its machine's network"


def _policy(manifest: Manifest) -> Iterator[str]:
    policies = [document["spec"] for document in manifest if document["kind"] == "NetworkPolicy"]
    ours = [policy["podSelector"].get("matchLabels", {}) for policy in policies]
    for name, template in _templates(manifest).items():
        labels = template.get("metadata", {}).get("labels", {}).items()
        if not any(selected and selected.items() <= labels for selected in ours):
            yield f"any pod may reach {name}"
    for policy in policies:
        if "Ingress" not in policy["policyTypes"]:
            yield "the policy is none for what comes in"
        for rule in policy["ingress"]:
            sources = rule.get("from", [])
            own = [{"podSelector": policy["podSelector"]}]
            if not sources or not all(source.get("podSelector", {}).get("matchLabels") for source in sources):
                yield "the policy lets any pod in"
            elif sources != own and [port["port"] for port in rule.get("ports", [])] != [8265]:
                yield "the policy opens more than the dashboard to the operator"


def _head(manifest: Manifest) -> Iterator[str]:
    parameters = _job(manifest)["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    if (parameters.get("num-cpus"), parameters.get("num-gpus")) != ("0", "0"):
        yield "trials may run on the head"
    (container,) = _templates(manifest)["head"]["spec"]["containers"]
    if {"name": "RAY_JOB_STOP_WAIT_TIME_S", "value": "60"} not in container["env"]:
        yield "`ray job stop` kills the driver before it has saved anything"


def _versions(manifest: Manifest) -> Iterator[str]:
    if _job(manifest)["spec"]["rayClusterSpec"].get("rayVersion") != importlib.metadata.version("ray"):
        yield "KubeRay is told another Ray than the version tested"
    images = {container.get("image", "") for _, container in _containers(manifest)}
    if len(images) != 1:
        yield "pods have different images"
    for image in images:
        if image != "FILL_IN_IMAGE" and not re.search(r"(:(?!latest$)[\w.-]+|@sha256:[0-9a-f]{64})$", image):
            yield "an image's version is left open"


def _survives(manifest: Manifest) -> Iterator[str]:
    spec = _job(manifest)["spec"]
    if spec.get("submissionMode", "K8sJobMode") != "K8sJobMode":
        yield "nobody submits again to a head that was replaced"
    if spec.get("submitterConfig", {}).get("backoffLimit", 0) < 3:
        yield "the submitter gives up before a head is back"
    if spec.get("backoffLimit", 0) < 1:
        yield "a cluster that fails ends the search"
    if "clusterSelector" in spec or "jobId" in spec:
        yield "the job cannot get another cluster"
    if not re.search(r"pdsearch run \S+ --address auto", spec["entrypoint"]):
        yield "the command is not one that resumes on a cluster"


def _ends(manifest: Manifest) -> Iterator[str]:
    spec = _job(manifest)["spec"]
    if not spec.get("shutdownAfterJobFinishes") or not spec.get("activeDeadlineSeconds"):
        yield "the cluster goes on costing when the job has ended"
    for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
        if not spec["rayClusterSpec"].get("enableInTreeAutoscaling") or group.get("minReplicas", 0) > 0:
            yield f"workers of {group['groupName']} stay when there is nothing to do"
    if any(document["kind"] == "PersistentVolumeClaim" for document in manifest):
        yield "whoever deletes the job deletes the results"


def _storage(manifest: Manifest) -> Iterator[str]:
    found = re.search(r"--set storage=(\S+)", _job(manifest)["spec"]["entrypoint"])
    place = found.group(1) if found else ""
    if place.startswith("s3://"):
        return
    if not place.startswith(f"{MOUNT}/"):
        yield "the results do not lie on the storage"
    for name, template in _templates(manifest).items():
        spec = template["spec"]
        claims = {v["name"] for v in spec.get("volumes", []) if "persistentVolumeClaim" in v}
        mounts = [m for c in spec["containers"] for m in c.get("volumeMounts", []) if m["mountPath"] == MOUNT]
        if name != "submitter" and (not mounts or not {mount["name"] for mount in mounts} <= claims):
            yield f"{name} does not see the storage"


def _pods(manifest: Manifest) -> Iterator[str]:
    for name, template in _templates(manifest).items():
        spec = template["spec"]
        if not spec.get("securityContext", {}).get("runAsNonRoot"):
            yield f"{name} may run as root"
        # The head's autoscaler asks Kubernetes for nodes; nobody else has to.
        if name != "head" and spec.get("automountServiceAccountToken") is not False:
            yield f"{name} may ask Kubernetes"
    for name, container in _containers(manifest):
        if container.get("securityContext", {}).get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain rights"
        resources = container.get("resources", {})
        if any(not {"cpu", "memory"} <= resources.get(kind, {}).keys() for kind in ("requests", "limits")):
            yield f"{name} may take its whole machine"
