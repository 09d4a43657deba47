"""The cluster file is one Ray accepts, and one that is safe and cheap to run as it stands. Nothing is launched."""

import copy

import pytest

from tests.cluster.launch_rules import MOUNT, ROOT, Config, accept, aws, load, marks

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
