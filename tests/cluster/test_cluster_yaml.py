"""The cluster file is one Ray accepts, and one that is safe and cheap to run as it stands. Nothing is launched."""

import copy
import importlib.metadata
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

# Ray reads its environment when it is first imported: a session, which sets it, has to come before that.
pytestmark = pytest.mark.usefixtures("ray_session")

FILE = Path(__file__).parents[2] / "cluster.yaml"
TOKEN_MODE = "RAY_AUTH_MODE=token"

Config = dict[str, Any]


@pytest.fixture
def config() -> Config:
    found: Config = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def accept(config: Config) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def lint(config: Config) -> list[str]:
    """Return what Ray would accept and we would not."""
    return [problem for check in (_network, _nodes, _token, _versions, _storage) for problem in check(config)]


def _network(config: Config) -> Iterator[str]:
    for permission in config["provider"]["security_group"]["IpPermissions"]:
        ranges = [item["CidrIp"] for item in permission["IpRanges"]]
        if (permission["FromPort"], permission["ToPort"]) != (22, 22):
            yield "a port other than ssh is open"
        if any(not cidr.endswith("/32") for cidr in ranges):
            yield "ssh is open to more than one address"
    if not any("--dashboard-host=127.0.0.1" in command for command in config["head_start_ray_commands"]):
        yield "the dashboard listens to the network"


def _nodes(config: Config) -> Iterator[str]:
    kinds = config["available_node_types"]
    head = kinds[config["head_node_type"]]
    if head["resources"] != {"CPU": 0, "GPU": 0} or head["max_workers"] != 0:
        yield "trials may run on the head"
    for name, kind in kinds.items():
        node = kind["node_config"]
        missing = {"InstanceType", "ImageId", "IamInstanceProfile", "BlockDeviceMappings"} - node.keys()
        if missing:
            yield f"{name} lacks {', '.join(sorted(missing))}"
        if kind["max_workers"] > config["max_workers"]:
            yield f"{name} may have more workers than the cluster"
        if node.get("MetadataOptions") != {"HttpTokens": "required"}:
            yield f"{name} gives its credentials to any request"
        if name != config["head_node_type"] and node.get("InstanceMarketOptions") != {"MarketType": "spot"}:
            yield f"{name} costs the full price"
    if config["provider"]["cache_stopped_nodes"] or config["idle_timeout_minutes"] > 30:
        yield "idle nodes go on costing"


def _token(config: Config) -> Iterator[str]:
    if "~/.ray/auth_token" not in config["file_mounts"]:
        yield "nodes get no token"
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        if not any(TOKEN_MODE in command and "ray start" in command for command in config[commands]):
            yield f"{commands} start Ray without a token"


def _versions(config: Config) -> Iterator[str]:
    pins = re.findall(r"ray\[[a-z,]+\]==([0-9.]+)", " ".join(config["setup_commands"]))
    if pins != [importlib.metadata.version("ray")]:
        yield f"nodes install ray {pins}, not the version tested"
    if "constraints.txt" not in " ".join(config["setup_commands"]):
        yield "nodes install other versions than those tested"


def _storage(config: Config) -> Iterator[str]:
    if not any("/mnt/shared" in command for command in config["initialization_commands"]):
        yield "no storage is shared"
    if "/mnt/shared/runs" not in FILE.read_text(encoding="utf-8"):
        yield "the example stores its results elsewhere"


def test_ray_accepts_it(config: Config) -> None:
    accept(config)


def test_ray_would_refuse_a_misspelled_key(config: Config) -> None:
    config["idle_timeout_minute"] = 10
    with pytest.raises(Exception, match="idle_timeout_minute"):
        accept(config)


def test_our_lint_accepts_it(config: Config) -> None:
    assert lint(config) == []


def test_what_a_person_fills_in_is_marked_and_nothing_else_names_an_account() -> None:
    text = FILE.read_text(encoding="utf-8")
    marked = re.findall(r"^[^#\n]*(FILL_IN_\w+)", text, flags=re.MULTILINE)
    assert sorted(marked) == [
        "FILL_IN_FILE_SYSTEM",
        "FILL_IN_HEAD_PROFILE_ARN",
        "FILL_IN_IMAGE",
        "FILL_IN_WORKER_PROFILE_ARN",
        "FILL_IN_YOUR_ADDRESS",
    ]
    assert not re.search(r"\b\d{12}\b|\bami-[0-9a-f]{8,}\b|\bfs-[0-9a-f]{8,}\b", text)


def _open_to_all(config: Config) -> None:
    config["provider"]["security_group"]["IpPermissions"][0]["IpRanges"] = [{"CidrIp": "0.0.0.0/0"}]


def _open_dashboard(config: Config) -> None:
    config["provider"]["security_group"]["IpPermissions"][0] |= {"FromPort": 8265, "ToPort": 8265}


def _listening_dashboard(config: Config) -> None:
    config["head_start_ray_commands"] = ["ray start --head --dashboard-host=0.0.0.0 " + TOKEN_MODE]


def _working_head(config: Config) -> None:
    config["available_node_types"]["head"]["resources"] = {"CPU": 8}


def _no_token(config: Config) -> None:
    config["worker_start_ray_commands"] = ["ray start --address=$RAY_HEAD_IP:6379"]


def _no_token_file(config: Config) -> None:
    del config["file_mounts"]["~/.ray/auth_token"]


def _other_ray(config: Config) -> None:
    config["setup_commands"] = ["pip install -c constraints.txt 'ray[tune]==2.40.0'"]


def _no_image(config: Config) -> None:
    del config["available_node_types"]["gpu_spot"]["node_config"]["ImageId"]


def _full_price(config: Config) -> None:
    del config["available_node_types"]["gpu_spot"]["node_config"]["InstanceMarketOptions"]


def _too_many(config: Config) -> None:
    config["available_node_types"]["gpu_spot"]["max_workers"] = 9


def _no_storage(config: Config) -> None:
    config["initialization_commands"] = []


@pytest.mark.parametrize(
    "spoil",
    [
        _open_to_all,
        _open_dashboard,
        _listening_dashboard,
        _working_head,
        _no_token,
        _no_token_file,
        _other_ray,
        _no_image,
        _full_price,
        _too_many,
        _no_storage,
    ],
)
def test_our_lint_refuses(config: Config, spoil: Callable[[Config], None]) -> None:
    spoiled = copy.deepcopy(config)
    spoil(spoiled)
    assert len(lint(spoiled)) >= 1
