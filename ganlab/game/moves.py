"""The moves of a turn: what is drawn, faked, scored and lost. Tensor shapes trail the lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.turn import Side, Turn

if TYPE_CHECKING:
    from ganlab.game.player import Player
    from ganlab.runs.run import Run


def draw(run: Run, turn: Turn) -> None:
    """The real batch and the latent that this turn needs.

    The discriminator's turns on real data draw a new batch, repeats and the generator's turns (for losses that compare
    with real scores) use the step's last one again.
    """
    if "real" in _sides(run, turn):
        fresh = turn.role == "discriminator" and turn.repeat == 0
        batch = run.draws.next_batch(turn.step) if fresh else run.draws.current_batch(turn.step)
        turn.real, turn.real_labels = batch.images, batch.labels  # (batch, *data), (batch,)
    if "fake" in turn.sides:
        turn.latent = run.draws.latent(turn)  # (batch, *noise)
        turn.fake_labels = run.draws.labels(turn)  # (batch,)


def fake(run: Run, turn: Turn) -> None:
    """The fakes: with their graph in the generator's turn, detached in the discriminator's."""
    if turn.latent is None:
        return
    generator = run.players["generator"]
    own = turn.player is generator
    generator.mode(own or run.schedule.generator_mode == "train")
    with torch.set_grad_enabled(own), run.autocast():
        run.streams.reseed(run.bases["generator"])
        turn.fake = generator(turn.latent, turn.fake_labels)  # (batch, *data)
    if turn.fake.shape[1:] != run.dataset.shape:
        raise PluginError(
            f"{generator.owner} made samples of shape {tuple(turn.fake.shape[1:])}; the data's is {run.dataset.shape}",
            "it is told the shape to make in spec.output_shape",
        )
    turn.fake = turn.fake.to(run.dtype)


def score(run: Run, turn: Turn) -> None:
    """The discriminator's scores of what it is shown, in one pass or in two."""
    discriminator = run.players["discriminator"]
    own = turn.player is discriminator
    discriminator.mode(own or run.schedule.discriminator_mode == "train")
    if own or run.schedule.discriminator_statistics:
        _score_sides(run, turn, discriminator)
    else:
        with discriminator.statistics_fixed():
            _score_sides(run, turn, discriminator)
    if own:
        for side, scores in (("real", turn.real_scores), ("fake", turn.fake_scores)):
            if scores is not None:
                run.metrics.add_scores(side, scores)


def _score_sides(run: Run, turn: Turn, discriminator: Player) -> None:
    sides = [side for side in ("real", "fake") if getattr(turn, side) is not None]
    if run.schedule.first_side == "fake":
        sides.reverse()
    images: list[Tensor] = [getattr(turn, side) for side in sides]
    labels: list[Tensor | None] = [getattr(turn, f"{side}_labels") for side in sides]
    if len(sides) == 2 and run.schedule.discriminator_turn == "one_pass":
        known = [one for one in labels if one is not None]
        both = _scores(run, discriminator, torch.cat(images), torch.cat(known) if len(known) == 2 else None, "both")  # (2 batch,)
        scores = [both[: len(images[0])], both[len(images[0]) :]]
    else:
        scores = _passes(run, discriminator, sides, images, labels)
    for side, one in zip(sides, scores, strict=True):
        setattr(turn, f"{side}_scores", one)  # (batch,)


def _passes(run: Run, discriminator: Player, sides: list[str], images: list[Tensor], labels: list[Tensor | None]) -> list[Tensor]:
    """A pass for each side, or what comes to the same."""
    if len(sides) > 1:
        with run.autocast():
            at_once = discriminator.in_one_pass(images, lambda number: run.streams.reseed(run.bases[sides[number]]))
        if at_once is not None:
            return [_checked(run, discriminator, *one) for one in zip(at_once, images, strict=True)]
    return [_scores(run, discriminator, *one) for one in zip(images, labels, sides, strict=True)]


def _scores(run: Run, discriminator: Player, images: Tensor, labels: Tensor | None, pass_name: str) -> Tensor:
    """One pass of the discriminator: ``(batch, *data)`` to ``(batch,)``."""
    run.streams.reseed(run.bases[pass_name])
    with run.autocast():
        scores = discriminator(images, labels)
    return _checked(run, discriminator, scores, images)


def _checked(run: Run, discriminator: Player, scores: Tensor, images: Tensor) -> Tensor:
    """Scores as ``(batch,)``, in the run's dtype; the trailing 1 goes, for (5, 1) - (5,) would be (5, 5)."""
    samples = images.shape[0]
    if scores.shape == (samples, 1):
        scores = scores.squeeze(1)
    if scores.shape != (samples,):
        raise PluginError(
            f"{discriminator.owner} gave scores of shape {tuple(scores.shape)} for {samples} images",
            f"the discriminator must return one score an image: ({samples},) or ({samples}, 1)",
        )
    return scores.to(run.dtype)


def _sides(run: Run, turn: Turn) -> tuple[Side, ...]:
    """What is scored: the turn's sides, and for losses that compare, the real side in the generator's turns as well."""
    return ("real", "fake") if turn.role == "generator" and run.losses["generator"].pairs else turn.sides


def _check_scores(run: Run, turn: Turn) -> None:
    """See that the loss gets what it goes on with: a trick may have taken it away."""
    loss = run.losses[turn.role]
    planned_alone = loss.pairs and turn.role == "discriminator" and len(turn.sides) == 1
    if planned_alone and (turn.real_scores is None or turn.fake_scores is None):
        raise PluginError(
            f"{loss.owner} compares real with fake scores, and in step {turn.step} the discriminator plays on {turn.sides[0]} ones alone",
            'a trick has planned it so: its plan_step must give such a loss `Part("discriminator", ("real", "fake"))`',
        )
    for side in _sides(run, turn):
        if getattr(turn, f"{side}_scores") is not None:
            continue
        what = f"there are no {side} scores for {loss.owner} in the {turn.role}'s turn of step {turn.step}"
        hint = "a trick may put another tensor there; which sides a turn is scored on, `plan_step` says"
        taken = [one for one in turn.trace.changes if one.after is None and one.name in (side, f"{side}_scores")]
        if not taken:  # what a trick does that says it only watches is not noted
            raise PluginError(what, hint)
        raise PluginError(f"{taken[-1].hook}, has set turn.{taken[-1].name} to None: {what}", hint, taken[-1].trick)


def loss_terms(run: Run, turn: Turn) -> dict[str, Tensor]:
    """The loss's own terms, each a scalar: what tricks add to comes after."""
    loss = run.losses[turn.role]
    _check_scores(run, turn)
    run.streams.reseed(run.bases["loss"])
    with blamed(loss.owner):
        if turn.role == "generator":
            terms = {"adversarial": loss.instance.generator(turn)}
        elif loss.pairs:
            terms = {"adversarial": loss.instance.discriminator(turn)}
        else:
            methods = {"real": loss.instance.real, "fake": loss.instance.fake}
            terms = {side: methods[side](turn) for side in turn.sides}
            if run.schedule.discriminator_loss == "mean":
                terms = {side: term / len(terms) for side, term in terms.items()}
    for name, term in terms.items():
        _check_term(term, f"{loss.owner}: its term '{name}'")
    return terms


def total(run: Run, turn: Turn) -> Tensor:
    """The turn's loss: the sum of all terms, the loss's own and what tricks have added. A scalar, with a gradient."""
    if not isinstance(turn.loss_terms, dict):
        what = f"a trick has set turn.loss_terms to a {type(turn.loss_terms).__name__}"
        raise PluginError(what, 'a term is added by its name: `turn.loss_terms["mine"] = ...`')
    for name, term in turn.loss_terms.items():
        _check_term(term, f"the {turn.role}'s loss term '{name}', which a trick has set,")
    terms = [*turn.loss_terms.values()]
    loss = sum(terms[1:], start=terms[0]) if terms else run.zero  # one term is the loss: no operation for nothing
    if not loss.requires_grad:
        raise PluginError(
            f"the {turn.role}'s loss has no gradient in step {turn.step}",
            f"a trick or {run.losses[turn.role].owner} has cut it off: look for detach(), .item() and no_grad()",
        )
    return loss


def _check_term(term: object, what: str) -> None:
    if not isinstance(term, Tensor):
        raise PluginError(f"{what} is a {type(term).__name__}, not a tensor", "make it of the turn's scores: `.mean(0)`")
    if term.shape != ():
        raise PluginError(f"{what} has shape {tuple(term.shape)}, not that of a scalar", "reduce over dim 0: `.mean(0)`")
