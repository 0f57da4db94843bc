"""The moves of a turn: what is drawn, faked, scored and lost. Tensor shapes trail the lines."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.game import Game
from ganlab.game.player import Player
from ganlab.game.turn import Side, Turn


def draw(game: Game, turn: Turn) -> None:
    """The real batch and the latent that this turn needs.

    The discriminator's turns on real data draw a new batch, repeats and the generator's turns (for losses that compare
    with real scores) use the step's last one again.
    """
    if "real" in _sides(game, turn):
        fresh = turn.role == "discriminator" and turn.repeat == 0
        batch = game.draws.next_batch(turn.step) if fresh else game.draws.current_batch(turn.step)
        turn.real, turn.real_labels = batch.images, batch.labels  # (batch, *data), (batch,)
    if "fake" in turn.sides:
        turn.latent = game.draws.latent(turn)  # (batch, *noise)
        turn.fake_labels = game.draws.labels(turn) if game.players["generator"].takes_labels else None  # (batch,)


def fake(game: Game, turn: Turn) -> None:
    """The fakes: with their graph in the generator's turn, detached in the discriminator's."""
    if turn.latent is None:
        return
    generator = game.players["generator"]
    own = turn.player is generator
    generator.mode(own or game.schedule.generator_mode == "train")
    with torch.set_grad_enabled(own), game.autocast():
        game.streams.reseed(game.bases["generator"])
        turn.fake = generator(turn.latent, turn.fake_labels)  # (batch, *data)
    if turn.fake.shape[1:] != game.dataset.shape:
        raise PluginError(
            f"{generator.owner} made samples of shape {tuple(turn.fake.shape[1:])}; the data's is {game.dataset.shape}",
            "it is told the shape to make in spec.output_shape",
        )
    turn.fake = turn.fake.to(game.dtype)


def score(game: Game, turn: Turn) -> None:
    """The discriminator's scores of what it is shown, in one pass or in two."""
    discriminator = game.players["discriminator"]
    own = turn.player is discriminator
    discriminator.mode(own or game.schedule.discriminator_mode == "train")
    if own or game.schedule.discriminator_statistics:
        _score_sides(game, turn, discriminator)
    else:
        with discriminator.statistics_fixed():
            _score_sides(game, turn, discriminator)
    if own:
        for side, scores in (("real", turn.real_scores), ("fake", turn.fake_scores)):
            if scores is not None:
                game.metrics.add_scores(side, scores)


def _score_sides(game: Game, turn: Turn, discriminator: Player) -> None:
    sides = [side for side in ("real", "fake") if getattr(turn, side) is not None]
    if game.schedule.first_side == "fake":
        sides.reverse()
    images: list[Tensor] = [getattr(turn, side) for side in sides]
    labels: list[Tensor | None] = [getattr(turn, f"{side}_labels") for side in sides]
    if len(sides) == 2 and game.schedule.discriminator_turn == "one_pass":
        scores = list(_score_concatenated(game, discriminator, images, labels))
    else:
        outputs = discriminator.score_sides(images, labels, lambda number: game.streams.reseed(game.bases[sides[number]]), game.autocast)
        scores = [_checked(game, discriminator, *one) for one in zip(outputs, images, strict=True)]
    for side, side_scores in zip(sides, scores, strict=True):
        setattr(turn, f"{side}_scores", side_scores)  # (batch,)


def _score_concatenated(game: Game, discriminator: Player, images: list[Tensor], labels: list[Tensor | None]) -> tuple[Tensor, ...]:
    """The scores of both sides from one pass over their concatenation, ``(2 batch, *data)``: two tensors ``(batch,)``."""
    known = [side_labels for side_labels in labels if side_labels is not None]
    both = torch.cat(images)
    game.streams.reseed(game.bases["both"])
    with game.autocast():
        scores = discriminator(both, torch.cat(known) if len(known) == 2 else None)
    scores = _checked(game, discriminator, scores, both)
    return scores[: len(images[0])], scores[len(images[0]) :]


def _checked(game: Game, discriminator: Player, scores: Tensor, images: Tensor) -> Tensor:
    """Scores as ``(batch,)``, in the recipe's dtype; the trailing 1 goes, for (5, 1) - (5,) would be (5, 5).

    Raises:
        PluginError: they have another shape.
    """
    samples = images.shape[0]
    if scores.shape == (samples, 1):
        scores = scores.squeeze(1)
    if scores.shape != (samples,):
        raise PluginError(
            f"{discriminator.owner} gave scores of shape {tuple(scores.shape)} for {samples} images",
            f"the discriminator must return one score an image: ({samples},) or ({samples}, 1)",
        )
    return scores.to(game.dtype)


def _sides(game: Game, turn: Turn) -> tuple[Side, ...]:
    """What is scored: the turn's sides, and for losses that compare, the real side in the generator's turns as well."""
    return ("real", "fake") if turn.role == "generator" and game.losses["generator"].pairs else turn.sides


def _check_scores(game: Game, turn: Turn) -> None:
    """See that the loss gets what it goes on with: a trick may have taken it away."""
    loss = game.losses[turn.role]
    planned_alone = loss.pairs and turn.role == "discriminator" and len(turn.sides) == 1
    if planned_alone and (turn.real_scores is None or turn.fake_scores is None):
        raise PluginError(
            f"{loss.owner} compares real with fake scores, and in step {turn.step} the discriminator plays on {turn.sides[0]} ones alone",
            'a trick has planned it so: its plan_step must give such a loss `Part("discriminator", ("real", "fake"))`',
        )
    for side in _sides(game, turn):
        if getattr(turn, f"{side}_scores") is not None:
            continue
        what = f"there are no {side} scores for {loss.owner} in the {turn.role}'s turn of step {turn.step}"
        hint = "a trick may put another tensor there; which sides a turn is scored on, `plan_step` says"
        taken = [one for one in turn.trace.changes if one.after is None and one.name in (side, f"{side}_scores")]
        if not taken:  # what a trick does that says it only watches is not noted
            raise PluginError(what, hint)
        raise PluginError(f"{taken[-1].hook}, has set turn.{taken[-1].name} to None: {what}", hint, taken[-1].trick)


def loss_terms(game: Game, turn: Turn) -> dict[str, Tensor]:
    """The loss's own terms, each a scalar: what tricks add to comes after."""
    loss = game.losses[turn.role]
    _check_scores(game, turn)
    game.streams.reseed(game.bases["loss"])
    with blamed(loss.owner):
        if turn.role == "generator":
            terms = {"adversarial": loss.instance.generator(turn)}
        elif loss.pairs:
            terms = {"adversarial": loss.instance.discriminator(turn)}
        else:
            methods = {"real": loss.instance.real, "fake": loss.instance.fake}
            terms = {side: methods[side](turn) for side in turn.sides}
            if game.schedule.discriminator_loss == "mean":
                terms = {side: term / len(terms) for side, term in terms.items()}
    for name, term in terms.items():
        _check_term(term, f"{loss.owner}: its term '{name}'")
    return terms


def total(game: Game, turn: Turn) -> Tensor:
    """The turn's loss: the sum of all terms, the loss's own and what tricks have added. A scalar, with a gradient."""
    if not isinstance(turn.loss_terms, dict):
        what = f"a trick has set turn.loss_terms to a {type(turn.loss_terms).__name__}"
        raise PluginError(what, 'a term is added by its name: `turn.loss_terms["mine"] = ...`')
    for name, term in turn.loss_terms.items():
        _check_term(term, f"the {turn.role}'s loss term '{name}', which a trick has set,")
    terms = [*turn.loss_terms.values()]
    loss = sum(terms[1:], start=terms[0]) if terms else game.zero  # one term is the loss: no operation for nothing
    if not loss.requires_grad:
        raise PluginError(
            f"the {turn.role}'s loss has no gradient in step {turn.step}",
            f"a trick or {game.losses[turn.role].owner} has cut it off: look for detach(), .item() and no_grad()",
        )
    return loss


def _check_term(term: object, what: str) -> None:
    if not isinstance(term, Tensor):
        raise PluginError(f"{what} is a {type(term).__name__}, not a tensor", "make it of the turn's scores: `.mean(0)`")
    if term.shape != ():
        raise PluginError(f"{what} has shape {tuple(term.shape)}, not that of a scalar", "reduce over dim 0: `.mean(0)`")
