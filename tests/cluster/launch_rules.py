"""Rules for cluster launcher files that Ray does not check itself; each breach is returned as a sentence."""

import importlib.metadata
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MOUNT = "/mnt/shared"
TOKEN_MODE = "RAY_AUTH_MODE=token"
TOKEN_FILE = "~/.ray/auth_token"
ACCOUNT = re.compile(r"\b\d{12}\b|\b(?:ami|fs|sg|subnet|vpc)-[0-9a-f]{8,}\b")
ADDRESS = re.compile(r"\b(?!127\.0\.0\.1\b|0\.0\.0\.0\b)\d{1,3}(?:\.\d{1,3}){3}\b")

Config = dict[str, Any]
Rule = Callable[[Config], Iterator[str]]


def load(name: str) -> Config:
    """Return a file of the repository, parsed."""
    found: Config = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return found


def marks(name: str) -> list[str]:
    """Return what a person has to fill in, in the file's order of names; comments do not count."""
    text = (ROOT / name).read_text(encoding="utf-8")
    code = "\n".join(line.split("#")[0] for line in text.splitlines())
    assert not ACCOUNT.search(text)
    assert not ADDRESS.search(text)
    return sorted(set(re.findall(r"FILL_IN_\w+", code)))


def accept(config: Config) -> None:
    """Let Ray's own code check a cluster file; nothing is launched, no server is asked."""
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def aws(config: Config) -> list[str]:
    """Return what is wrong with a cluster file for AWS."""
    return _problems(config, (_group, _nodes, _cost, *_SHARED))


def on_premise(config: Config) -> list[str]:
    """Return what is wrong with a cluster file for machines of one's own."""
    return _problems(config, (_machines, *_SHARED))


def _problems(config: Config, rules: Sequence[Rule]) -> list[str]:
    return [problem for rule in rules for problem in rule(config)]


def _group(config: Config) -> Iterator[str]:
    kinds = config["available_node_types"].items()
    groups = [kind["node_config"].get("SecurityGroupIds") for _, kind in kinds]
    if "security_group" in config["provider"]:
        yield "Ray opens ssh to the world in a group that it makes"
    if not all(groups):
        yield "a node gets a group that Ray makes"
    if any(group != groups[0] for group in groups):
        yield "nodes of different groups cannot reach one another"


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
        if node.get("MetadataOptions") != {"HttpTokens": "required"}:
            yield f"{name} gives its credentials to any request"


def _cost(config: Config) -> Iterator[str]:
    for name, kind in config["available_node_types"].items():
        node = kind["node_config"]
        if kind["max_workers"] > config["max_workers"]:
            yield f"{name} may have more workers than the cluster"
        if name != config["head_node_type"] and node.get("InstanceMarketOptions") != {"MarketType": "spot"}:
            yield f"{name} costs the full price"
        if not all(disk["Ebs"].get("DeleteOnTermination") for disk in node.get("BlockDeviceMappings", [])):
            yield f"{name} leaves its disk behind"
    if config["provider"]["cache_stopped_nodes"] or config["idle_timeout_minutes"] > 30:
        yield "idle nodes go on costing"


def _machines(config: Config) -> Iterator[str]:
    head = _starts(config, "head_start_ray_commands")
    if not all("--num-cpus=0" in command and "--num-gpus=0" in command for command in head):
        yield "trials may run on the head"
    if "available_node_types" in config or config["provider"]["head_ip"] in config["provider"]["worker_ips"]:
        yield "a machine has two parts"
    if not all("RAY_enable_autoscaler_v2=0" in command.split("ray start")[0] for command in head):
        yield "Ray leaves one machine out"
    if "ssh_private_key" not in config["auth"]:
        yield "the head cannot reach the workers"


def _starts(config: Config, name: str) -> list[str]:
    return [command for command in config[name] if "ray start" in command]


def _dashboard(config: Config) -> Iterator[str]:
    head = _starts(config, "head_start_ray_commands")
    if not all("--dashboard-host=127.0.0.1" in command for command in head):
        yield "the dashboard listens to the network"


def _token(config: Config) -> Iterator[str]:
    if config["file_mounts"].get(TOKEN_FILE) != TOKEN_FILE:
        yield "nodes get no token"
    if not any(f"chmod 600 {TOKEN_FILE}" in command for command in config["setup_commands"]):
        yield "others on a node may read the token"
    for name in (key for key in config if key.endswith("_commands")):
        for command in _starts(config, name):
            if TOKEN_MODE not in command.split("ray start")[0]:
                yield f"{name} start Ray without a token"
    for name in ("head_start_ray_commands", "worker_start_ray_commands"):
        if not _starts(config, name):
            yield f"{name} do not start Ray"


def _stopping(config: Config) -> Iterator[str]:
    head = _starts(config, "head_start_ray_commands")
    if not all("RAY_JOB_STOP_WAIT_TIME_S=60" in command.split("ray start")[0] for command in head):
        yield "`ray job stop` kills the driver before it has saved anything"


def _versions(config: Config) -> Iterator[str]:
    commands = " ".join(config["setup_commands"])
    pins = re.findall(r"ray\[[a-z,]+\]==([0-9.]+)", commands)
    if pins != [importlib.metadata.version("ray")]:
        yield f"nodes install ray {pins}, not the version tested"
    if "--constraint ~/pdsearch/constraints.txt" not in commands:
        yield "nodes install other versions than those tested"


def _storage(config: Config) -> Iterator[str]:
    if not any(MOUNT in command for command in config["initialization_commands"]):
        yield "no storage is shared"


_SHARED: tuple[Rule, ...] = (_dashboard, _token, _stopping, _versions, _storage)
