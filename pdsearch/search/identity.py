"""What a study is, in study.json, and what may change later: budgets freely, own code and a wider space if accepted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pdsearch.config import Space, extension
from pdsearch.errors import ConfigError
from pdsearch.io import Place
from pdsearch.io.record_files import read_asked
from pdsearch.io.studies import Accept, begin, change
from pdsearch.pipeline.keys import student_key
from pdsearch.records.codec import decode
from pdsearch.records.study_record import StudyChange, StudyData, StudyRecord, StudySpace
from pdsearch.search.records import now
from pdsearch.search.resolved import Description, own_folders, same_trial

_BACK = "take the changes back, or give the space another study: name (teachers in the storage are not trained again)"
_MENDED = (
    "to go on with the mended code, add --accept-code: failed trials are tried again with it, what finished stays"
    " (--redo asks it again)"
)
_WIDER = (
    "to go on with the wider space, run `pdsearch extend` with the same file, then the same command again"
)


@dataclass(frozen=True)
class Changes:
    """In what a space differs from the study that it names, one line each.

    Args:
        refused: What no study may change.
        code: Own code whose file is another, which a person may accept.
        wider: What a space adds to the study, likewise.
    """

    refused: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    wider: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.refused or self.code or self.wider)

    def check(self, folder: Place, accept: Accept) -> None:
        """Refuse what is not accepted.

        Raises:
            ConfigError: There is such a change; the message holds all of them and the way out.
        """
        code, wider = () if accept.code else self.code, () if accept.wider else self.wider
        if not (self.refused or code or wider):
            return
        open_ones = [*self.refused, *(self.wider if self.refused else wider), *code]
        ways = [] if self.refused or not wider else [_WIDER]
        ways += [] if self.refused or not code else [_MENDED]
        raise ConfigError(
            "the study exists with another space:\n    " + "\n    ".join(open_ones),
            where=str(folder),
            hint="; or ".join([*ways, _BACK]),
        )


def changes_of(space: Space, folder: Place, found: Description, began: StudyRecord) -> Changes:
    """Return in what a space, and the files it names, differ from the study that began with them."""
    code = [
        f"{name}: its file is not the one the study began with" for name in sorted(_other_code(found, began))
    ]
    extended = extension(began.space.form, space.identity())
    refused = [*extended.refused, *_other_files(found, began)]
    if extended.wider and not refused:
        refused += _moved(space, folder, replace(found, precision=began.precision))
    return Changes(tuple(refused), tuple(code), extended.wider)


def _moved(space: Space, folder: Place, found: Description) -> list[str]:
    """Return the first trial so far that a wider space would make another one of."""
    kinds = {"search": space, "baseline": space.unpruned()}
    for record in read_asked(folder / "trials").found.values():
        if record.number is None:
            continue
        try:
            spec = found.complete(kinds[record.kind].resolve(record.params))
            same = same_trial(replace(record, spec=spec, key=student_key(spec))) == same_trial(record)
        except ConfigError:
            same = False
        if not same:
            return [f"{record.id} would be another trial: a value that it had is another now"]
    return []


def identify(space: Space, folder: Place, found: Description) -> None:
    """Write study.json of a new study."""
    record = StudyRecord(
        study=space.study,
        space=decode(StudySpace, space.identity()),
        data=decode(StudyData, {"fingerprint": found.fingerprint, **found.contents}),
        checkpoints=tuple(sorted(found.checkpoints.values())),
        code=found.code,
        code_folders=own_folders(space),
        precision=found.precision,
        versions=found.versions,
        created_at=now(),
    )
    begin(folder, record)


def accept_changes(space: Space, folder: Place, found: Description, began: StudyRecord) -> list[str]:
    """Write that a study is as a space and its files are now, and return the differences, one line each."""
    code = sorted(_other_code(found, began))
    lines = [
        *extension(began.space.form, space.identity()).wider,
        *(f"{name}: {began.code[name][:8]} -> {found.code[name][:8]}" for name in code),
    ]
    later = StudyChange(
        space=decode(StudySpace, space.identity()),
        code={**began.code, **found.code},
        code_before=began.code,
        code_folders={**began.code_folders, **own_folders(space)},
        lines=tuple(lines),
        changed_at=now(),
    )
    change(folder, began, later)
    return lines


def _other_code(found: Description, began: StudyRecord) -> set[str]:
    return {name for name, code in began.code.items() if found.code.get(name, code) != code}


def _other_files(found: Description, began: StudyRecord) -> Iterator[str]:
    """Yield a message for the weights and the images if their content has changed, whatever its path."""
    if list(began.checkpoints) != sorted(found.checkpoints.values()):
        yield "teacher.checkpoint: not the weights the study began with"
    if began.data.fingerprint != found.fingerprint:
        yield "data: the images are not those the study began with"
