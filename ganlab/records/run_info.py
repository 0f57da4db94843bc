"""``run.json`` as one typed model, read and checked in one place. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import ConfigDict, Field
from typing_extensions import TypedDict  # before Python 3.12 pydantic accepts no other

from ganlab.errors import PluginError, UsageError
from ganlab.redaction import redacted_document
from ganlab.storage.reading import read_json

CLOSING = "closing"  # the status of a run that is trained while the last of its files are made
ACTIVE = ("running", CLOSING)  # the statuses of a run whose process has not ended, unless it was killed
IN_PLACE = "a trick or a script has put this into run.info"

LARGEST = 2**63 - 1
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Seconds = Annotated[float, Field(ge=0, le=1e12)]  # a duration
Moment = Annotated[float, Field(ge=0, le=253402214400)]  # seconds since 1970, up to the year 9999, which is the last that has a date

SHOWN = 200  # letters of a value that an error message repeats

#: A copy of a plugin file in the run's folder: its name, the path of the original, and the digest of its content.
PluginCopy = TypedDict("PluginCopy", {"name": str, "from": str, "sha256": str})
PluginCopy.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[attr-defined]


class GitState(TypedDict, total=False):
    """The git work tree around the working folder."""

    commit: str
    dirty: bool


class UsedDistribution(TypedDict, total=False):
    """An installed distribution, or a script's plugin, that the recipe uses; ``brings`` lists the parts in words."""

    name: str
    version: str
    brings: list[str]


class UsedData(TypedDict, total=False):
    """The data set.

    ``fallback_from``: the data set that the recipe wanted and that was not available; ``why``: the reason. ``outline``: the digest of all
    but the content of its files. ``unreadable``: files that were skipped.
    """

    use: str
    size: Count
    fingerprint: str
    outline: str
    unreadable: list[str]
    fallback_from: str | None
    why: str


class BestCheckpoint(TypedDict, total=False):
    """The checkpoint with the best value of the metric ``train.keep_best``: its file in the run's folder, the metric and the value."""

    path: str
    metric: str
    value: float | None


class Resumption(TypedDict, total=False):
    """One resume: the time (seconds since 1970), and what was ``changed`` in the machine and software.

    ``step`` and ``recipe`` (each change in words) are present if the recipe had changed, ``data`` if files of the data were replaced:
    their names.
    """

    time: Moment
    changed: dict[str, Any]
    step: Count
    recipe: list[str]
    data: list[str]


class SweepMembership(TypedDict, total=False):
    """The sweep that the run is part of: its name, the run's values of the grid, and the seed."""

    name: str
    combination: dict[str, Any]
    seed: Count


class FolderPlace(TypedDict, total=False):
    """Where the run's folder was when run.json was written: its path, the machine, and its number in the file system."""

    path: str
    host: str
    inode: int


class Origin(TypedDict, total=False):
    """The run that this one was copied from."""

    id: str
    uid: str
    path: str


class RunInfo(pydantic.BaseModel):
    """The content of ``run.json``. Times are seconds since 1970. Keys that this version does not know are kept.

    Only keys that were set are written. Every key has a default, so an older run.json can be read.
    """

    model_config = ConfigDict(extra="allow", validate_assignment=True, strict=True, allow_inf_nan=False)

    # identity
    id: str = ""
    uid: str = ""
    folder: FolderPlace = {}
    copied_from: Origin | None = None
    recipe: str = ""
    seed: Count | None = None
    set: SweepMembership = {}
    init_from: str = ""
    signature: str | None = None

    # progress
    status: str = "unknown"
    created: Moment | None = None
    started: Moment | None = None
    ended: Moment | None = None
    counters: dict[str, Count] = {}
    total_steps: Count = 0
    training_seconds: Seconds = 0.0
    last_checkpoint: str | None = None
    best_checkpoint: BestCheckpoint | None = None
    ended_by: str = ""  # the trick that finished the run before its budget was spent, in the step ended_at
    ended_at: Count = 0
    read_total_steps: list[str] = []  # the tricks that have read run.total_steps: a longer budget may change what they do
    failure: str | None = None
    signal: str | None = None
    announcements: list[str] = []
    findings: list[Any] = []  # of tricks
    display_lines: dict[str, str] = {}  # of tricks: lines of the display
    not_finite: list[str] = []
    resumed: list[Resumption] = []

    # what the recipe used
    data: UsedData = {}
    plugins: list[PluginCopy] = []
    script_tricks: list[str] = []
    distributions: list[UsedDistribution] = []
    script_plugins: list[UsedDistribution] = []

    # machine and software
    ganlab: str = ""
    versions: dict[str, str] = {}
    git: GitState | None = None
    user: str = ""
    host: str = ""
    platform: str = ""
    pid: Count | None = None
    process_started: Moment | None = None
    boot: Moment | None = None
    command: list[str] = []
    device: str = ""
    device_name: str = ""
    dtype: str = ""
    threads: Count | None = None

    @classmethod
    def read(cls, path: Path) -> RunInfo:
        """The content of the file ``path``.

        Raises:
            UsageError: the file is missing or damaged.
        """
        try:
            content = read_json(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise UsageError(f"{path} cannot be read: {reason}", "is this a run's folder? `ganlab runs` lists them") from error
        if not isinstance(content, dict):
            raise UsageError(f"{path} is not the run.json of a run: it holds no JSON object")
        try:
            return cls(**content)
        except pydantic.ValidationError as error:
            key = str(error.errors(include_url=False)[0]["loc"][0])
            raise UsageError(f"{path} is damaged: its {key} is {_shown(content[key])}") from error
        except TypeError as error:  # a key that is the name of a parameter of Python's own, such as "self"
            raise UsageError(f"{path} is damaged: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """All keys that were set, in the order of the file. Lists and dicts are the model's own, not copies."""
        known = {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}
        return known | (self.model_extra or {})

    def as_json(self) -> str:
        """The text of the file: all but passwords.

        Raises:
            PluginError: a list or dict was changed in place to something that could not be read again.
        """
        content = self.as_dict()
        try:
            RunInfo(**content)
            return json.dumps(redacted_document(content), indent=2) + "\n"
        except (pydantic.ValidationError, TypeError, ValueError) as error:
            if isinstance(error, pydantic.ValidationError):
                key = str(error.errors(include_url=False)[0]["loc"][0])
                raise PluginError(f"run.info[{key!r}] = {content[key]!r}: {_reason(error)}", IN_PLACE) from None
            raise PluginError(f"run.info cannot be written to run.json: {error}", IN_PLACE) from None

    def replaced(self, **values: Any) -> RunInfo:
        """A copy with other values for some keys."""
        return RunInfo(**(self.as_dict() | values))


def _reason(error: pydantic.ValidationError) -> str:
    text = error.errors(include_url=False)[0]["msg"]
    return f"{text[:1].lower()}{text[1:]}"


def _shown(value: Any) -> str:
    """A value in an error message, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


class InfoView(MutableMapping[str, Any]):
    """``run.info``: a :class:`RunInfo` as a mutable mapping with the keys of ``run.json``.

    A value that is assigned to a known key must have the type of that key; else a TypeError is raised.
    """

    def __init__(self, model: RunInfo) -> None:
        self.model = model

    def __getitem__(self, key: str) -> Any:
        return self.model.as_dict()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key not in RunInfo.model_fields:
            assert self.model.model_extra is not None
            self.model.model_extra[key] = value
            return
        try:
            setattr(self.model, key, list(value) if isinstance(value, tuple) else value)
        except pydantic.ValidationError as error:
            raise TypeError(f"run.info[{key!r}] = {value!r}: {_reason(error)}") from None

    def __delitem__(self, key: str) -> None:
        if key in (extra := self.model.model_extra or {}):
            del extra[key]
            return
        self.model.model_fields_set.remove(key)
        setattr(self.model, key, RunInfo.model_fields[key].get_default(call_default_factory=True))
        self.model.model_fields_set.remove(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self.model.as_dict())

    def __len__(self) -> int:
        return len(self.model.as_dict())

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, set to ``default`` if it is missing. Returns the stored object, not a copy."""
        if key not in self:
            self[key] = default
        return self[key]

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(self) | dict(other)

    def __ior__(self, other: Mapping[str, Any]) -> InfoView:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return repr(self.model.as_dict())
