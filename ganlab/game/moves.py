"""The parts of a turn: draw, make fakes, score, compute the loss. Comments at the ends of lines give tensor shapes."""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.errors import PluginError
from ganlab.game.blame import blamed
from ganlab.game.game import Game
from ganlab.game.player import Player
from ganlab.game.turn import Turn


def draw(game: Game, turn: Turn) -> None:
    """Draw the real batch and the latent that this turn needs.

    A discriminator's turn on real data draws a new batch. Repeats reuse the step's last batch, and so do the generator's turns if its
    loss compares fake with real scores.
    """
    if "real" in turn.sides or (turn.role == "generator" and game.losses["generator"].pairs):
        fresh = turn.role == "discriminator" and turn.repeat == 0
        batch = game.draws.next_batch(turn.step) if fresh else game.draws.current_batch(turn.step)
        turn.real, turn.real_labels = batch.images, batch.labels  # (batch, *data), (batch,)
    if "fake" in turn.sides:
        turn.latent = game.draws.latent(turn)  # (batch, *noise)
        turn.fake_labels = game.draws.labels(turn) if game.players["generator"].takes_labels else None  # (batch,)


def fake(game: Game, turn: Turn) -> None:
    """Make the fakes: with a graph in the generator's turn, without one in the discriminator's."""
    if turn.latent is None:
        return
    generator = game.players["generator"]
    own_turn = turn.player is generator
    generator.mode(own_turn or game.schedule.generator_mode == "train")
    with torch.set_grad_enabled(own_turn), game.autocast():
        game.streams.reseed(game.bases["generator"])
        turn.fake = generator(turn.latent, turn.fake_labels)  # (batch, *data)
    if turn.fake.shape[1:] != game.dataset.shape:
        raise PluginError(
            f"{generator.owner} made samples of shape {tuple(turn.fake.shape[1:])}; the data's is {game.dataset.shape}",
            "the shape to make is spec.output_shape",
        )
    turn.fake = turn.fake.to(game.dtype)


def score(game: Game, turn: Turn) -> None:
    """Compute the discriminator's scores of the real and fake samples, in one pass or in two."""
    discriminator = game.players["discriminator"]
    own_turn = turn.player is discriminator
    discriminator.mode(own_turn or game.schedule.discriminator_mode == "train")
    if own_turn or game.schedule.discriminator_statistics:
        _score_sides(game, turn, discriminator)
    else:
        with discriminator.statistics_fixed():
            _score_sides(game, turn, discriminator)
    if own_turn:
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
        scores = [_checked_scores(game, discriminator, *pair) for pair in zip(outputs, images, strict=True)]
    for side, side_scores in zip(sides, scores, strict=True):
        setattr(turn, f"{side}_scores", side_scores)  # (batch,)


def _score_concatenated(game: Game, discriminator: Player, images: list[Tensor], labels: list[Tensor | None]) -> tuple[Tensor, ...]:
    """Both sides' scores, each ``(batch,)``, from one pass over their concatenation ``(2 batch, *data)``."""
    known = [side_labels for side_labels in labels if side_labels is not None]
    both = torch.cat(images)
    game.streams.reseed(game.bases["both"])
    with game.autocast():
        scores = discriminator(both, torch.cat(known) if len(known) == 2 else None)
    scores = _checked_scores(game, discriminator, scores, both)
    return scores[: len(images[0])], scores[len(images[0]) :]


def _checked_scores(game: Game, discriminator: Player, scores: Tensor, images: Tensor) -> Tensor:
    """The scores as ``(batch,)``, in the recipe's dtype. A trailing dimension of 1 is removed, because (5, 1) - (5,) has shape (5, 5).

    Raises:
        PluginError: the scores have neither shape (batch,) nor (batch, 1).
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


def _check_scores(game: Game, turn: Turn) -> None:
    """Check that all scores that the loss needs are there: a trick may have removed them.

    Raises:
        PluginError: scores are missing. The error names the trick that removed them, if it is known.
    """
    loss = game.losses[turn.role]
    for side in ("real", "fake") if loss.pairs else turn.sides:
        if getattr(turn, f"{side}_scores") is not None:
            continue
        what = f"there are no {side} scores for {loss.owner} in the {turn.role}'s turn of step {turn.step}"
        hint = "a trick may assign another tensor; the sides that a turn is scored on are those of its Part in `plan_step`"
        removals = [change for change in turn.trace.changes if change.after is None and change.name in (side, f"{side}_scores")]
        if not removals:  # plan_step left the side out, or a trick with only_watches = True, whose changes are not traced
            raise PluginError(what, hint)
        last = removals[-1]
        raise PluginError(f"{last.hook}, has set turn.{last.name} to None: {what}", hint, last.trick)


def loss_terms(game: Game, turn: Turn) -> dict[str, Tensor]:
    """The loss's own terms, each a scalar. Tricks may add terms later."""
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
    """The turn's loss: the sum of the loss's own terms and of those that tricks have added. A scalar that needs a gradient.

    Raises:
        PluginError: a term is not a scalar tensor, or the sum has no gradient.
    """
    for name, term in turn.loss_terms.items():
        _check_term(term, f"the {turn.role}'s loss term '{name}', which a trick has set,")
    terms = [*turn.loss_terms.values()]
    loss = sum(terms[1:], start=terms[0]) if terms else game.zero  # a single term is the loss itself, without an addition
    if not loss.requires_grad:
        raise PluginError(
            f"the {turn.role}'s loss has no gradient in step {turn.step}",
            f"a trick or {game.losses[turn.role].owner} has cut it off: look for detach(), .item() and no_grad()",
        )
    return loss


def _check_term(term: object, what: str) -> None:
    if not isinstance(term, Tensor):
        raise PluginError(f"{what} is a {type(term).__name__}, not a tensor", "compute it from the turn's scores: `.mean(0)`")
    if term.shape != ():
        raise PluginError(f"{what} has shape {tuple(term.shape)}, not that of a scalar", "reduce over dim 0: `.mean(0)`")
