"""The memory of a sweep: every finished trial in a database, so that no interruption loses one.

SQLite for one machine, PostgreSQL for many. Written by the sweep in one transaction a batch; read on resume and by
the report. A trial counts as finished when it is in here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from omega.errors import ConfigError, CorruptData, EnvironmentFault, OmegaError

WHOLE: Final = -1
"""The fold of a trial that was run over the whole history."""

DONE: Final = "done"
REFUSED: Final = "refused"

_BUSY_S: Final = 30.0
_META: Final = sa.MetaData()
_STUDIES: Final = sa.Table(
    "sweep_studies",
    _META,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("spec", sa.Text, nullable=False),
    sa.Column("created_ns", sa.BigInteger, nullable=False),
)
_TRIALS: Final = sa.Table(
    "sweep_trials",
    _META,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("fold", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("score", sa.Float),
    sa.Column("params", sa.Text, nullable=False),
    sa.Column("metrics", sa.Text, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("finished_ns", sa.BigInteger, nullable=False),
)
_CHOICES: Final = sa.Table(
    "sweep_choices",
    _META,
    sa.Column("study", sa.String(200), primary_key=True),
    sa.Column("fold", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("metrics", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One combination and what came of it.

    Attributes:
        fold: the training stretch, `WHOLE` without walk-forward.
        state: done, or refused when the strategy does not accept the combination.
        score: of the first objective, larger is better; None when it has no figure.
        why: what the strategy said when it refused, else empty.
    """

    fold: int
    number: int
    state: str
    score: float | None
    params: Mapping[str, Any]
    metrics: Mapping[str, float | None]
    why: str
    finished_ns: int


@dataclass(frozen=True, slots=True)
class Choice:
    """The trial that won a training stretch, with its figures on the test stretch behind it."""

    fold: int
    number: int
    metrics: Mapping[str, float | None]


class Study:
    """One sweep's trials.

    Attributes:
        name: of the study; several processes may share it.
        engine: of its database.
        url: of its database, without the password.
    """

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self.name = name
        self.url = engine.url.render_as_string(hide_password=True)
        self.engine = engine

    def finished(self, fold: int, low: int, high: int) -> set[int]:
        """Return the numbers of finished trials from low to below high."""
        column = _TRIALS.c
        wanted = sa.select(column.number).where(
            column.study == self.name, column.fold == fold, column.number >= low, column.number < high
        )
        with _translated(self.url), self.engine.connect() as connection:
            return set(connection.execute(wanted).scalars())

    def add(self, trials: Sequence[Trial]) -> None:
        """Write finished trials in one transaction; one that is there already stays as it is."""
        if not trials:
            return
        rows = [
            {
                "study": self.name,
                "fold": trial.fold,
                "number": trial.number,
                "state": trial.state,
                "score": trial.score,
                "params": _text(trial.params),
                "metrics": _text(trial.metrics),
                "why": trial.why,
                "finished_ns": trial.finished_ns,
            }
            for trial in trials
        ]
        with _translated(self.url), self.engine.begin() as connection:
            connection.execute(self._insert(_TRIALS), rows)

    def best(self, count: int, *, fold: int = WHOLE) -> list[Trial]:
        """Return the trials with the highest scores, the lower number first among equals."""
        column = _TRIALS.c
        wanted = (
            sa.select(_TRIALS)
            .where(column.study == self.name, column.fold == fold, column.score.is_not(None))
            .order_by(column.score.desc(), column.number)
            .limit(count)
        )
        with _translated(self.url), self.engine.connect() as connection:
            return [_trial(row) for row in connection.execute(wanted)]

    def trial(self, fold: int, number: int) -> Trial | None:
        """Return one trial, None while it is not finished."""
        column = _TRIALS.c
        wanted = sa.select(_TRIALS).where(column.study == self.name, column.fold == fold, column.number == number)
        with _translated(self.url), self.engine.connect() as connection:
            row = connection.execute(wanted).first()
        return None if row is None else _trial(row)

    def trials(self, *, fold: int | None = None) -> Iterator[Trial]:
        """Iterate over every finished trial by fold and number, without holding them all."""
        column = _TRIALS.c
        wanted = sa.select(_TRIALS).where(column.study == self.name).order_by(column.fold, column.number)
        if fold is not None:
            wanted = wanted.where(column.fold == fold)
        with _translated(self.url), self.engine.connect() as connection:
            for row in connection.execution_options(yield_per=1000).execute(wanted):
                yield _trial(row)

    def counts(self) -> dict[str, int]:
        """Return how many trials are in each state."""
        column = _TRIALS.c
        wanted = sa.select(column.state, sa.func.count()).where(column.study == self.name).group_by(column.state)
        with _translated(self.url), self.engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(wanted)}

    def choose(self, choice: Choice) -> None:
        """Write the winner of a fold; the first one written stays."""
        row = {
            "study": self.name,
            "fold": choice.fold,
            "number": choice.number,
            "metrics": json.dumps(dict(choice.metrics)),
        }
        with _translated(self.url), self.engine.begin() as connection:
            connection.execute(self._insert(_CHOICES), [row])

    def choices(self) -> list[Choice]:
        """Return the winners by fold."""
        wanted = sa.select(_CHOICES).where(_CHOICES.c.study == self.name).order_by(_CHOICES.c.fold)
        with _translated(self.url), self.engine.connect() as connection:
            return [Choice(row.fold, row.number, json.loads(row.metrics)) for row in connection.execute(wanted)]

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()

    def _insert(self, table: sa.Table) -> Any:
        make = sqlite.insert if self.engine.dialect.name == "sqlite" else postgresql.insert
        return make(table).on_conflict_do_nothing()


def open_study(url: str, name: str, spec: Mapping[str, Any], *, now_ns: int, join: bool) -> Study:
    """Open a study, making it when it is new.

    Args:
        url: `sqlite:///file` or `postgresql+pg8000://user@host/name`.
        name: of the study.
        spec: everything that the figures depend on; an old study must have the same.
        now_ns: the time it is made.
        join: whether an old study may be gone on with.

    Raises:
        ConfigError: the URL is none, the study exists and may not be joined, or it was made of another spec.
        EnvironmentFault: the database does not answer.
    """
    study = Study(_engine(url), name)
    try:
        _open(study, json.dumps(dict(spec), sort_keys=True), now_ns=now_ns, join=join)
    except OmegaError:
        study.close()
        raise
    return study


def _open(study: Study, text: str, *, now_ns: int, join: bool) -> None:
    """Make the row of a study, or see whether the one that is there may be gone on with."""
    name = study.name
    with _translated(study.url):
        _make_tables(study.engine)
        try:
            with study.engine.begin() as connection:
                connection.execute(sa.insert(_STUDIES).values(study=name, spec=text, created_ns=now_ns))
        except IntegrityError:
            pass
        else:
            return
        with study.engine.connect() as connection:
            old = connection.execute(sa.select(_STUDIES.c.spec).where(_STUDIES.c.study == name)).scalar_one()
    if not join and study.counts():
        raise ConfigError(
            f"study {name!r} is there already ({study.url}); go on with --resume, or name another --study"
        )
    _same(name, json.loads(old), json.loads(text))


def existing_study(url: str, name: str) -> Study:
    """Open a study that is there, to read it.

    Raises:
        ConfigError: the URL is none, or there is no such study.
        EnvironmentFault: the database does not answer.
    """
    study = Study(_engine(url), name)
    try:
        with _translated(study.url):
            _make_tables(study.engine)
            with study.engine.connect() as connection:
                names = list(connection.execute(sa.select(_STUDIES.c.study).order_by(_STUDIES.c.study)).scalars())
        if name not in names:
            raise ConfigError(f"there is no study {name!r} in {study.url}; there are {', '.join(names) or 'none'}")
    except OmegaError:
        study.close()
        raise
    return study


def newest_study(url: str, spec: Mapping[str, Any]) -> str | None:
    """Return the name of the newest study of a spec, None when there is none."""
    engine = _engine(url)
    text = json.dumps(dict(spec), sort_keys=True)
    try:
        with _translated(engine.url.render_as_string(hide_password=True)):
            _make_tables(engine)
            wanted = sa.select(_STUDIES.c.study).where(_STUDIES.c.spec == text).order_by(_STUDIES.c.created_ns.desc())
            with engine.connect() as connection:
                return connection.execute(wanted).scalars().first()
    finally:
        engine.dispose()


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        raise ConfigError("--storage is no URL: write sqlite:///FILE or postgresql+pg8000://USER@HOST/NAME") from None
    if backend == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": _BUSY_S})
        sa.event.listen(engine, "connect", _tune)
        return engine
    if backend == "postgresql":
        return sa.create_engine(parsed.set(drivername="postgresql+pg8000"), pool_pre_ping=True)
    raise ConfigError(f"--storage asks for {backend!r}; write sqlite:///FILE or postgresql+pg8000://USER@HOST/NAME")


def _tune(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    # Readers beside the writer; a killed process leaves whole transactions only.
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _make_tables(engine: sa.Engine) -> None:
    try:
        _META.create_all(engine)
    except DBAPIError:
        # Shards that start together may meet here: the second look finds what the other one made.
        _META.create_all(engine)


def _same(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    differing = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    if differing:
        was = ", ".join(f"{key} was {old.get(key)!r}" for key in differing)
        raise ConfigError(f"study {name!r} was made of something else ({was}); say the same again or name another one")


def _text(values: Mapping[str, Any]) -> str:
    """Return values as JSON: figures take Python's own writer longer than the database takes the row."""
    return to_json(values).decode()


def _trial(row: Any) -> Trial:
    try:
        params, metrics = json.loads(row.params), json.loads(row.metrics)
    except ValueError as error:
        raise CorruptData(
            f"trial {row.number} of study {row.study!r} is unreadable ({error}); delete its row"
        ) from error
    return Trial(row.fold, row.number, row.state, row.score, params, metrics, row.why, row.finished_ns)


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        said = str(error.orig).split("\n", 1)[0][:200]
        raise EnvironmentFault(f"the study's database {url} failed: {said}; repair it, then --resume") from error
