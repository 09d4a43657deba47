"""The launcher's files are ones Ray accepts, and safe and cheap to run as they stand. Nothing is launched."""

import copy
import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

# Ray reads its environment when it is first imported: a session, which sets it, has to come before that.
pytestmark = pytest.mark.usefixtures("ray_session")

ROOT = Path(__file__).parents[2]
MOUNT = "/mnt/shared"
TOKEN_FILE = "~/.ray/auth_token"
ACCOUNT = re.compile(r"\b\d{12}\b|\b(?:ami|fs|sg|subnet|vpc)-[0-9a-f]{8,}\b")
ADDRESS = re.compile(r"\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b)\d{1,3}(?:\.\d{1,3}){3}\b")
AWS, OWN = "cluster.yaml", "clusters/on_premise.yaml"


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def marks(name: str) -> list[str]:
    """Return what a person has to fill in, by name; comments do not count, and no account or address may be there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    code = "\n".join(line.split("#")[0] for line in text.splitlines())
    assert not ACCOUNT.search(text)
    assert not ADDRESS.search(text)
    return sorted(set(re.findall(r"FILL_IN_\w+", code)))


def starts(config: dict[str, Any], kind: str) -> tuple[str, str]:
    """Return what stands before and after `ray start` in the commands of the head or the workers."""
    (command,) = (line for line in config[f"{kind}_start_ray_commands"] if "ray start" in line)
    before, _, after = command.partition("ray start")
    return before, after


def accept(config: dict[str, Any]) -> dict[str, Any]:
    """Let Ray's own code check a cluster file; nothing is launched, no server is asked."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared: dict[str, Any] = prepare_config(config)
    validate_config(prepared)
    return prepared


@pytest.mark.parametrize("name", [AWS, OWN])
def test_ray_accepts_it_and_would_refuse_a_misspelled_key(name: str) -> None:
    accept(load(name))
    with pytest.raises(Exception, match="idle_timeout_minute"):
        accept({**load(name), "idle_timeout_minute": 10})


@pytest.mark.parametrize("name", [AWS, OWN])
def test_whoever_has_no_token_reaches_nothing(name: str) -> None:
    config = load(name)
    assert config["file_mounts"][TOKEN_FILE] == TOKEN_FILE
    assert f"chmod 600 {TOKEN_FILE}" in config["setup_commands"]
    assert all("RAY_AUTH_MODE=token" in starts(config, kind)[0] for kind in ("head", "worker"))
    assert "--dashboard-host=127.0.0.1" in starts(config, "head")[1]


@pytest.mark.parametrize("name", [AWS, OWN])
def test_its_nodes_share_a_storage_and_the_versions_that_were_tested(name: str) -> None:
    config = load(name)
    assert any(MOUNT in command for command in config["initialization_commands"])
    assert f"--set storage={MOUNT}/runs" in (ROOT / name).read_text(encoding="utf-8")
    commands = " ".join(config["setup_commands"])
    assert re.findall(r"ray\[[a-z,]+\]==([0-9.]+)", commands) == [importlib.metadata.version("ray")]
    assert "--constraint ~/pdsearch/constraints.txt" in commands
    assert "RAY_JOB_STOP_WAIT_TIME_S=60" in starts(config, "head")[0], "so that the driver saves what runs"


def test_nodes_on_aws_are_closed_and_end_with_their_work() -> None:
    config = load(AWS)
    head, workers = config["available_node_types"]["head"], config["available_node_types"]["gpu_spot"]
    assert [*config["available_node_types"]] == ["head", "gpu_spot"]
    assert "security_group" not in config["provider"], (
        "Ray would open ssh to the world in a group that it makes"
    )
    assert head["node_config"]["SecurityGroupIds"] == workers["node_config"]["SecurityGroupIds"] != []
    assert (head["resources"], head["max_workers"]) == ({"CPU": 0, "GPU": 0}, 0), "no trial runs there"
    for kind in (head, workers):
        node = kind["node_config"]
        assert {"InstanceType", "ImageId", "IamInstanceProfile", "BlockDeviceMappings"} <= node.keys()
        assert node["MetadataOptions"] == {"HttpTokens": "required"}, "credentials go to no mere request"
        assert all(disk["Ebs"]["DeleteOnTermination"] for disk in node["BlockDeviceMappings"])
        assert kind["max_workers"] <= config["max_workers"]
    assert workers["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert not config["provider"]["cache_stopped_nodes"]
    assert config["idle_timeout_minutes"] <= 30


def test_ray_leaves_a_group_of_the_users_own_alone_and_opens_one_that_it_makes() -> None:
    from ray.autoscaler._private.aws import config as of_ray

    config = load(AWS)
    before = copy.deepcopy(config)
    assert of_ray._configure_security_group(config) == before  # and asks no server
    narrow = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    rules = of_ray._create_default_inbound_rules({"sg-1"}, [narrow])
    assert "0.0.0.0/0" in str(rules)  # The reason for our rule: where this fails, Ray has become safer.


def test_every_machine_of_ones_own_is_started_and_none_is_head_and_worker() -> None:
    config = load(OWN)
    provider, (before, after) = config["provider"], starts(config, "head")
    (kind,) = accept(config)["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(provider["worker_ips"])
    assert provider["head_ip"] not in provider["worker_ips"]
    assert "RAY_enable_autoscaler_v2=0" in before, "it leaves one machine out"
    assert "--num-cpus=0 --num-gpus=0" in after, "no trial runs on the head"
    assert "ssh_private_key" in config["auth"], "with which the head reaches the workers"


def test_machines_of_ones_own_install_and_start_as_those_on_aws_do() -> None:
    """What differs is the machines: a repair of one file must reach the other."""
    config, cloud = load(OWN), load(AWS)
    python = [word.replace("python3.11", "python3") for word in config["setup_commands"]]
    assert python == cloud["setup_commands"]
    assert config["worker_start_ray_commands"] == cloud["worker_start_ray_commands"]
    assert config["file_mounts"] == cloud["file_mounts"]


def test_what_a_person_fills_in_is_marked_and_nothing_else_names_an_account_or_a_machine() -> None:
    aws = ("FILE_SYSTEM", "HEAD_PROFILE_ARN", "IMAGE", "SECURITY_GROUP", "WORKER_PROFILE_ARN")
    assert marks(AWS) == [f"FILL_IN_{name}" for name in aws]
    assert marks(OWN) == [f"FILL_IN_{name}" for name in ("HEAD", "KEY", "USER", "WORKER_1", "WORKER_2")]
