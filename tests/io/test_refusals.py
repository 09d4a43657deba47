"""What a file system says is turned into what a person can do, without what nobody may see."""

import pytest

from pdsearch.errors import ConfigError
from pdsearch.io.refusals import StorageAwayError, StorageDeniedError, judged

URL = "s3://bucket/runs"
SAID: dict[str, tuple[type[Exception], bool, str]] = {
    "AWS Error NO_SUCH_BUCKET during PutObject operation: gone": (StorageDeniedError, True, "no such bucket"),
    "AWS Error ACCESS_DENIED during PutObject operation: no": (StorageDeniedError, True, "no permission"),
    "AWS Error UNKNOWN (HTTP status 403) during HeadObject": (StorageDeniedError, True, "no permission"),
    "AWS Error INVALID_ACCESS_KEY_ID during x": (StorageDeniedError, True, "credentials"),
    "AWS Error SLOW_DOWN during PutObject operation": (StorageAwayError, False, "does not answer"),
    "AWS Error UNKNOWN (HTTP status 503) during x": (StorageAwayError, False, "does not answer"),
    "AWS Error NETWORK_CONNECTION: curlCode: 7": (StorageAwayError, False, "endpoint_override"),
}


@pytest.mark.parametrize("said", SAID)
def test_each_refusal_is_told_apart(said: str) -> None:
    kind, lasting, word = SAID[said]
    found = judged(OSError(said), URL)
    assert isinstance(found.error, kind)
    assert found.error.exit_code == 74
    assert found.lasting == lasting
    assert word in str(found.error)
    assert URL in str(found.error)


def test_an_unknown_option_is_the_users_mistake() -> None:
    found = judged(ValueError("Unexpected query parameter"), URL)
    assert isinstance(found.error, ConfigError)
    assert found.lasting


def test_secrets_are_not_repeated() -> None:
    found = judged(OSError("cannot reach s3://key:hush@bucket/x?secret_key=hush\n  at all"), URL)
    assert "hush" not in str(found.error)
    assert "at all" in str(found.error)
