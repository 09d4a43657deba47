"""The description of a broken rule."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Breach:
    """One violation of a rule.

    Args:
        rule: The rule: "records", "once", "ledger", "running", "best", "temporaries", "artifacts", "reports", "code".
        what: What is wrong, in a sentence.
        where: The file or the trial.
        mended: Whether the next run repairs it: a run was interrupted, nothing is lost.
    """

    rule: str
    what: str
    where: str
    mended: bool = False

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"
