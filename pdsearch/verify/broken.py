"""The name of a broken rule."""

from dataclasses import dataclass

__all__ = ["Breach"]


@dataclass(frozen=True)
class Breach:
    """Something that is not as it must be.

    Args:
        rule: Which promise: "records", "once", "ledger", "running", "best", "temporaries", "artifacts", "reports".
        what: What is wrong, in a sentence.
        where: The file or the trial.
        mended: The next run mends it: a run was cut off, nothing is lost.
    """

    rule: str
    what: str
    where: str
    mended: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"
