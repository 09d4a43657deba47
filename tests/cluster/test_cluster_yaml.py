"""The cluster file is one Ray accepts, and one that is safe and cheap to run as it stands. Nothing is launched."""

import copy
from collections.abc import Callable

import pytest

from tests.cluster.launch_rules import MOUNT, ROOT, Config, accept, aws, head_starts_with, load, marks

# Ray reads its environment when it is first imported: a session, which sets it, has to come before that.
pytestmark = pytest.mark.usefixtures("ray_session")

FILE = "cluster.yaml"


@pytest.fixture
def config() -> Config:
    return load(FILE)


def test_ray_accepts_it(config: Config) -> None:
    accept(config)


def test_ray_would_refuse_a_misspelled_key(config: Config) -> None:
    config["idle_timeout_minute"] = 10
    with pytest.raises(Exception, match="idle_timeout_minute"):
        accept(config)


def test_our_rules_accept_it(config: Config) -> None:
    assert aws(config) == []
    assert f"--set storage={MOUNT}/runs" in (ROOT / FILE).read_text(encoding="utf-8")


def test_what_a_person_fills_in_is_marked_and_nothing_else_names_an_account() -> None:
    assert marks(FILE) == [
        "FILL_IN_FILE_SYSTEM",
        "FILL_IN_HEAD_PROFILE_ARN",
        "FILL_IN_IMAGE",
        "FILL_IN_SECURITY_GROUP",
        "FILL_IN_WORKER_PROFILE_ARN",
    ]


def test_ray_leaves_a_group_of_the_users_own_alone_and_opens_one_that_it_makes(config: Config) -> None:
    from ray.autoscaler._private.aws import config as of_ray

    before = copy.deepcopy(config)
    assert of_ray._configure_security_group(config) == before  # and asks no server
    narrow = {"FromPort": 22, "ToPort": 22, "IpProtocol": "tcp", "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    rules = of_ray._create_default_inbound_rules({"sg-1"}, [narrow])
    assert "0.0.0.0/0" in str(rules)  # The reason for our rule: where this fails, Ray has become safer.


def _worker(config: Config) -> Config:
    found: Config = config["available_node_types"]["gpu_spot"]
    return found


def _group_of_ray(config: Config) -> None:
    for kind in config["available_node_types"].values():
        del kind["node_config"]["SecurityGroupIds"]


def _named_group_of_ray(config: Config) -> None:
    config["provider"]["security_group"] = {"GroupName": "pdsearch"}


def _two_groups(config: Config) -> None:
    _worker(config)["node_config"]["SecurityGroupIds"] = ["another"]


def _working_head(config: Config) -> None:
    config["available_node_types"]["head"]["resources"] = {"CPU": 8}


def _no_token(config: Config) -> None:
    config["worker_start_ray_commands"] = ["ray start --address=$RAY_HEAD_IP:6379"]


def _late_token(config: Config) -> None:
    config["worker_start_ray_commands"] = ["ray start --address=$RAY_HEAD_IP:6379; RAY_AUTH_MODE=token"]


def _another_start(config: Config) -> None:
    config["head_setup_commands"].append("~/venv/bin/ray start --head --port=6380")


def _no_start(config: Config) -> None:
    config["worker_start_ray_commands"] = []


def _no_token_file(config: Config) -> None:
    del config["file_mounts"]["~/.ray/auth_token"]


def _readable_token(config: Config) -> None:
    config["setup_commands"].pop(0)


def _other_ray(config: Config) -> None:
    config["setup_commands"] = [
        word.replace("[default,tune]==", "[tune]==2.4") for word in config["setup_commands"]
    ]


def _other_versions(config: Config) -> None:
    config["setup_commands"] = [
        word.replace("--constraint", "--no-deps") for word in config["setup_commands"]
    ]


def _no_image(config: Config) -> None:
    del _worker(config)["node_config"]["ImageId"]


def _any_request(config: Config) -> None:
    del _worker(config)["node_config"]["MetadataOptions"]


def _full_price(config: Config) -> None:
    del _worker(config)["node_config"]["InstanceMarketOptions"]


def _lasting_disk(config: Config) -> None:
    del _worker(config)["node_config"]["BlockDeviceMappings"][0]["Ebs"]["DeleteOnTermination"]


def _sleeping_nodes(config: Config) -> None:
    config["provider"]["cache_stopped_nodes"] = True


def _too_many(config: Config) -> None:
    _worker(config)["max_workers"] = 9


def _no_storage(config: Config) -> None:
    config["initialization_commands"] = []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_group_of_ray, "a group that Ray makes"),
        (_named_group_of_ray, "opens ssh to the world"),
        (_two_groups, "cannot reach one another"),
        (head_starts_with("127.0.0.1", "0.0.0.0"), "listens to the network"),
        (_working_head, "on the head"),
        (_no_token, "without a token"),
        (_late_token, "without a token"),
        (_another_start, "head_setup_commands start Ray without a token"),
        (_no_start, "do not start Ray"),
        (_no_token_file, "no token"),
        (_readable_token, "may read the token"),
        (head_starts_with("RAY_JOB_STOP_WAIT_TIME_S=60", ""), "before it has saved"),
        (_other_ray, "not the version tested"),
        (_other_versions, "other versions than"),
        (_no_image, "lacks ImageId"),
        (_any_request, "to any request"),
        (_full_price, "full price"),
        (_lasting_disk, "leaves its disk"),
        (_sleeping_nodes, "go on costing"),
        (_too_many, "more workers than"),
        (_no_storage, "no storage"),
    ],
)
def test_our_rules_refuse(config: Config, spoil: Callable[[Config], None], said: str) -> None:
    spoiled = copy.deepcopy(config)
    spoil(spoiled)
    assert any(said in problem for problem in aws(spoiled))
