"""Storage of Optuna studies in a database, under names that are unique to each study.

The tables are Optuna's, so that its tools read them. A study has one driver, and a database may hold many studies.
"""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy
from optuna.storages import BaseStorage, RDBStorage, get_storage

from pdsearch.config.ledger_url import LedgerUrl
from pdsearch.errors import ConfigError, StorageError, StorageFullError
from pdsearch.io.durable import PAUSES_S, storage_errors
from pdsearch.search.optuna_backend.convert import NAMES
from pdsearch.search.optuna_backend.journal import DamagedError, aside

_DRIVERS = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
_ARGUMENTS: dict[str, dict[str, Any]] = {"postgresql": {"connect_timeout": 10}, "sqlite": {"timeout": 30}}
_DAMAGED = ("not a database", "malformed")
_FULL = ("is full", "no space left", "disk full")


class Database:
    """A database that holds a study, maybe among others.

    Args:
        url: Where it is.
        label: Prefix of the names of this study's Optuna studies.
        pauses: Seconds to wait before each attempt to reconnect to a server.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        url: LedgerUrl,
        label: str,
        *,
        pauses: tuple[float, ...] = PAUSES_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url, self.label = url, label
        self._pauses, self._sleep = pauses, sleep
        self._given_up, self._generation = 0, 1
        self._damaged = False
        self._opened: list[RDBStorage] = []

    def __str__(self) -> str:
        return self.url.text

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Close all connections at the end."""
        try:
            yield
        finally:
            self._close()

    def open(self) -> BaseStorage:
        """Connect, making the tables where there are none.

        Raises:
            ConfigError: The driver of the database is not installed.
            DamagedError: The file is no database any more.
            StorageError: The database cannot be reached, or does not hold what this Optuna understands.
        """
        if self.url.path is not None:
            with storage_errors(self.url.path):
                self.url.path.parent.mkdir(parents=True, exist_ok=True)
        return self._connect()

    @contextmanager
    def glance(self) -> Iterator[BaseStorage | None]:
        """Connect for reading only; None where there is no file."""
        if self.url.path is not None and not self.url.path.exists():
            yield None
            return
        try:
            yield self._connect()
        finally:
            self._close()

    def names(self, known: Collection[str]) -> Mapping[str, str]:
        """Return the names of the newest generation, or of the next one after `give_up`."""
        found = [self._generation_of(name) for name in known]
        self._generation = max([1, self._given_up + 1, *found])
        return {kind: self._name(name, self._generation) for kind, name in NAMES.items()}

    def give_up(self) -> None:
        """Continue under new names, so that existing studies stay unchanged; a damaged file is moved aside."""
        if self._damaged and self.url.path is not None:
            self._close()
            with storage_errors(self.url.path):
                self.url.path.rename(aside(self.url.path))
            self._damaged = False
        else:
            self._given_up = self._generation

    def _connect(self) -> BaseStorage:
        arguments = {"connect_args": _ARGUMENTS[self.url.kind], "pool_pre_ping": True}
        address = self.url.text.replace(self.url.kind, _DRIVERS[self.url.kind], 1)
        try:
            storage = _Tables(address, engine_kwargs=arguments)
        except ImportError as error:
            hint = "python -m pip install 'pdsearch[postgres]'"
            raise ConfigError("its driver is not installed", where=self._where, hint=hint) from error
        except RuntimeError as error:  # Optuna's error for tables of another version.
            raise StorageError(f"the study's database: {error}", where=self._where) from error
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._refusal(error) from error
        self._opened.append(storage)
        sqlalchemy.event.listen(storage.engine, "handle_error", self._refuse)
        sqlalchemy.event.listen(storage.engine, "do_connect", self._patiently)
        return get_storage(storage)

    def _close(self) -> None:
        for storage in self._opened:
            storage.remove_session()
            storage.engine.dispose()
        self._opened.clear()

    def _patiently(self, dialect: Any, _: Any, arguments: Any, named: Any) -> Any:
        """Connect, trying again while the server is away."""
        for pause in self._pauses:
            try:
                return dialect.connect(*arguments, **named)
            except dialect.loaded_dbapi.OperationalError:
                self._sleep(pause)
        return dialect.connect(*arguments, **named)

    def _refuse(self, context: Any) -> None:
        """Raise pdsearch's error in place of the database's, except for those that are handled elsewhere."""
        answered = isinstance(context.sqlalchemy_exception, sqlalchemy.exc.IntegrityError)
        if not answered and not context.is_pre_ping:
            raise self._refusal(context.original_exception) from context.original_exception

    def _refusal(self, error: BaseException) -> StorageError:
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        if any(word in words for word in _FULL):
            hint = "free some space, then run the same command again"
            return StorageFullError(
                f"the study's database has no space left: {words}", where=self._where, hint=hint
            )
        self._damaged = any(word in words for word in _DAMAGED)
        hint = "see that it is up and may be written, then run the same command again"
        kind = DamagedError if self._damaged else StorageError
        return kind(f"the study's database refused: {words}", where=self._where, hint=hint)

    @property
    def _where(self) -> str:
        return f"search.ledger: {self.url.text}"

    def _name(self, name: str, generation: int) -> str:
        return f"{self.label}/{name}" + (f"~{generation}" if generation > 1 else "")

    def _generation_of(self, name: str) -> int:
        ours = "|".join(re.escape(known) for known in NAMES.values())
        found = re.fullmatch(rf"{re.escape(self.label)}/(?:{ours})(?:~(\d+))?", name)
        return int(found[1] or 1) if found else 0


class _Tables(RDBStorage):
    """Optuna's tables, whose connections are closed where they cannot be opened, too."""

    def __init__(self, address: str, engine_kwargs: dict[str, Any]) -> None:
        try:
            super().__init__(address, engine_kwargs=engine_kwargs)
        except BaseException:
            if hasattr(self, "engine"):  # There is none where the driver is missing.
                self.engine.dispose()
            raise
