"""The cluster file for machines of one's own: Ray accepts it, and it is as closed as the one for AWS."""

import pytest

from tests.cluster.launch_rules import MOUNT, ROOT, Config, accept, load, marks, on_premise

# As in test_cluster_yaml.py.
pytestmark = pytest.mark.usefixtures("ray_session")

FILE = "clusters/on_premise.yaml"


@pytest.fixture
def config() -> Config:
    return load(FILE)


def test_ray_accepts_it_and_starts_every_worker(config: Config) -> None:
    from ray.autoscaler._private.util import prepare_config

    accept(config)
    (kind,) = prepare_config(config)["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(config["provider"]["worker_ips"])


def test_ray_would_refuse_a_misspelled_key(config: Config) -> None:
    config["file_mount"] = {}
    with pytest.raises(Exception, match="file_mount"):
        accept(config)


def test_our_rules_accept_it(config: Config) -> None:
    assert on_premise(config) == []
    assert f"--set storage={MOUNT}/runs" in (ROOT / FILE).read_text(encoding="utf-8")


def test_what_a_person_fills_in_is_marked_and_nothing_else_names_a_machine() -> None:
    assert marks(FILE) == [
        "FILL_IN_HEAD",
        "FILL_IN_KEY",
        "FILL_IN_USER",
        "FILL_IN_WORKER_1",
        "FILL_IN_WORKER_2",
    ]


def test_it_installs_and_starts_as_the_file_for_aws_does(config: Config) -> None:
    """What differs is the machines: a repair of one file must reach the other."""
    cloud = load("cluster.yaml")
    python = [word.replace("python3.11", "python3") for word in config["setup_commands"]]
    assert python == cloud["setup_commands"]
    assert config["worker_start_ray_commands"] == cloud["worker_start_ray_commands"]
    assert config["file_mounts"] == cloud["file_mounts"]
