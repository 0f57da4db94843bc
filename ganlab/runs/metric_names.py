"""Which metrics a run will log, as far as that is known before it starts: ``train.keep_best`` names one of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from ganlab.errors import did_you_mean
from ganlab.game.hooks import Trick
from ganlab.runs.run import Run


def check_best(run: Run) -> None:
    """Say so where nothing gives the metric that ``train.keep_best`` names: by the look of it no checkpoint will be kept as the best.

    It is only a warning: a trick may compose the names of its metrics while it runs.
    """
    name = run.recipe.train.keep_best
    if not name:
        return
    known, words = list(engine_names(run)), set(_words(run.tricks, {"record", "count"}))
    sections = {word for word in words if "/" in word[1:] and name.startswith(word)}  # the beginning of an f-string
    if name in known or name in words or sections or _may_be_a_term(run, name):
        return
    reason = _why_not(run, name)
    choices = [*known, *(word for word in words if word.count("/") == 1 and word.replace("/", "").isidentifier())]
    why = f"{reason}; choose another" if reason else "no part of this recipe says that it gives a metric of that name"
    run.announce(f"train.keep_best = '{name}': {why}; {did_you_mean(name, choices)}.")


def engine_names(run: Run) -> Iterator[str]:
    """The names of the metrics that the game logs itself, and of those that the recipe's metrics measure during training."""
    for role in run.players:
        yield from (f"loss/{role}", f"epoch/{role}_loss", f"updates/{role}", f"skipped/{role}")
    for section in ("score", *(("logit", "accuracy") if run.game.metrics.probabilities else ())):
        yield from (f"{section}/{side}" for side in ("real", "fake"))
    yield from ("progress/epoch", "progress/images_seen")
    if not run.losses["discriminator"].pairs:
        yield from ("loss/discriminator.real", "loss/discriminator.fake")
    if run.evaluations.every:
        for _, metric in run.evaluations.evaluator.metrics.values():
            yield from (f"quality/{name}" for name in metric.results if metric.quick)


def _why_not(run: Run, name: str) -> str:
    """Why a value of one of the recipe's metrics is not logged during training; empty where no metric measures it."""
    evaluator, (section, _, result) = run.evaluations.evaluator, name.partition("/")
    if section not in ("quality", "final"):
        return ""
    for choice in run.recipe.metrics:
        if result in getattr(choice.entry.factory, "results", ()):
            if choice.name in evaluator.unfit:
                return f"metric '{choice.name}' does not measure these data: {evaluator.unfit[choice.name]}"
            if section == "quality" and not run.evaluations.every:
                return "evaluation.every = 0 measures nothing during training"
            return f"metric '{choice.name}' measures it at the end of the run only, when no checkpoint is chosen any more"
    return ""


def _may_be_a_term(run: Run, name: str) -> bool:
    """Whether it may be a trick's loss term: all terms are logged one by one where there are several."""
    section, _, term = name.partition(".")
    roles = [f"loss/{role}" for role in run.players]
    words = set(_words(run.tricks, {"loss_terms"})) if section in roles else set()
    return term in words or (term == "adversarial" and section in roles)


def _words(tricks: list[Trick], attributes: set[str]) -> Iterator[str]:
    """The string constants of all functions that use one of ``attributes``, in these tricks and in the loaded modules of their packages."""
    packages = {type(trick.instance).__module__.partition(".")[0] for trick in tricks} - {"ganlab"}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and module is not None:
            for value in list(vars(module).values()):
                if getattr(value, "__module__", None) == name:
                    yield from _words_of(value, attributes)
    for trick in tricks:  # its class may have been made within a function
        yield from _words_of(type(trick.instance), attributes)


def _words_of(class_or_function: object, attributes: set[str]) -> Iterator[str]:
    """The string constants of a function, or of a class's methods, that use one of ``attributes``."""
    for value in vars(class_or_function).values() if inspect.isclass(class_or_function) else (class_or_function,):
        function = inspect.unwrap(value) if callable(value) else value
        if inspect.isfunction(function) and attributes & set(function.__code__.co_names):
            yield from (text for text in function.__code__.co_consts if isinstance(text, str))
