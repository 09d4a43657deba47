"""The manifest for KubeRay: its schema accepts it, it survives what it says, and it is closed. Nothing is launched."""

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


def _cluster(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = manifest[0]["spec"]["rayClusterSpec"]
    return found


def _head(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = _cluster(manifest)["headGroupSpec"]
    return found


def _worker(manifest: Manifest) -> dict[str, Any]:
    found: dict[str, Any] = _cluster(manifest)["workerGroupSpecs"][0]
    return found
