"""The conformance kit: check a component or trick against all rules in one line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganlab.errors import PluginError
from ganlab.registry.entry import Kind
from ganlab.testing.rules import RULES
from ganlab.testing.subject import MEASURED, BrokenRule, Subject, refuse_if_not_measured
from ganlab.testing.tiny import catalogue


def conform(kind: Kind, name: str, *, plugins: Iterable[object] = (), overrides: Iterable[str] = (), **options: Any) -> None:
    """Check a component or trick against all rules, on the tiny problem: points in the plane, latents of shape (3,).

    Args:
        kind: ``"trick"``, ``"network"``, ``"loss"``, ``"dataset"``, ``"noise"``, ``"optimizer"``, ``"metric"`` or
            ``"judge"``. Metrics and judges are used on tiny images.
        name: its registered name.
        plugins: modules or objects with registration hooks, if the plugin is not installed.
        overrides: what else the recipe needs, in the syntax of ``--set``: ``'data={use="digits"}'`` for a network of images.
        options: of the component or trick.

    Raises:
        BrokenRule: it breaks a rule. The message says which, and what was seen.
        UsageError: an option is wrong, or the data are not available.
        PluginError: there is no such component.
    """
    plugins = tuple(plugins)
    components = catalogue(plugins)
    entry = components.find(kind, name)
    if entry is None:
        raise PluginError(f"no plugin brings a {kind} '{name}'", f"there are: {', '.join(components.names(kind))}")
    subject = Subject(kind, name, options, plugins, tuple(overrides), entry)
    with tempfile.TemporaryDirectory() as folder:
        subject.run(folder=Path(folder))  # an error here is no broken rule: the component cannot be built
        if kind in MEASURED:
            refuse_if_not_measured(subject, Path(folder))
    for rule, check in RULES.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                check(subject, Path(folder))
            except BrokenRule:
                raise
            except Exception as error:
                raise BrokenRule(rule, f"{kind} '{name}' breaks the rule {rule}: {type(error).__name__}: {error}") from error
