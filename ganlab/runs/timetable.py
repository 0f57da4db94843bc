"""What a run does after each step, and at which interval: log metrics, draw and measure samples, save checkpoints."""

from __future__ import annotations

from ganlab.game.game import Game
from ganlab.game.random_streams import TURNS
from ganlab.records.record import Record
from ganlab.records.run_info import InfoView
from ganlab.runs.checkpoints import Checkpoints
from ganlab.runs.clock import Clock
from ganlab.runs.evaluations import Evaluations
from ganlab.runs.sampler import Sampler


class Timetable:
    """The intervals of a run. The game knows none of them.

    Attributes:
        evaluations: measures the samples. Set after the data set has been built.
    """

    evaluations: Evaluations

    def __init__(self, game: Game, record: Record, sampler: Sampler, checkpoints: Checkpoints, clock: Clock) -> None:
        self.game, self.record = game, record
        self.sampler, self.checkpoints, self.clock = sampler, checkpoints, clock

    def after_step(self, step: int) -> None:
        """Call the hook ``after_step``. Then log, draw a sheet and save, if each is due.

        If a trick raises, the other tricks still finish the step. A rescue can then save it.

        Raises:
            NonFiniteError: a turn was not finite, and the recipe does not say to skip it.
        """
        game = self.game
        game.streams.moment = step * TURNS
        raised = game.hooks.call_each("after_step", step=step)
        last = step == game.total_steps
        if game.epoch > game.epoch_before_step:
            raised += self._finish_epoch()
        log, sheet, save = (
            step % every == 0 or last for every in (game.recipe.train.log_every, self.sampler.every, self.checkpoints.every)
        )
        save = save or self.checkpoints.overdue
        if log:
            raised += self.log_metrics()
        game.step_is_complete = True
        game.guard.settle(due=log or sheet or save)
        if raised:
            raise raised[0]
        if sheet:
            self.draw_sheet()
        if save:
            self.checkpoints.save()

    def log_metrics(self) -> list[Exception]:
        """Copy the interval's metrics to the CPU, write them to ``metrics.jsonl``, and pass them to the hook ``on_metrics``.

        Returns:
            The errors that tricks raised.
        """
        game = self.game
        game.guard.read()
        metrics = game.metrics.interval()
        for player in game.players.values():
            metrics[f"updates/{player.role}"] = float(player.updates)
        metrics["progress/epoch"], metrics["progress/images_seen"] = float(game.epoch), float(game.images_seen)
        if self.record.folder is not None:
            self.record.write_clock(game.step, {"speed/steps_per_second": self.clock.stop(game.step)})
        metrics |= self.evaluations.quick() if self.evaluations.due(game.step) else {}
        self.write_metrics(metrics)
        raised = game.hooks.call_each("on_metrics", step=game.step, metrics=metrics)
        self._announce_lost_values()
        return raised

    def write_metrics(self, metrics: dict[str, float]) -> None:
        """Append a line to ``metrics.jsonl``, and check whether its values make a checkpoint the best."""
        self.record.write_metrics(self.game.step, metrics)
        self.checkpoints.best.note(metrics)

    def draw_sheet(self) -> None:
        """Draw a sheet of samples from the run's fixed noise."""
        if self.record.folder is not None:
            path = self.record.folder.samples / f"step_{self.game.step:09d}.png"
            picture = self.sampler.sheet(path)
            self.game.hooks.on_images(step=self.game.step, name="samples", picture=picture, path=path)

    def _finish_epoch(self) -> list[Exception]:
        """Log the epoch's means of both players' losses, as tutorials report them, and pass all means to the hook ``after_epoch``."""
        means = self.game.metrics.epoch()
        if self.record.folder is not None:
            self.write_metrics({f"epoch/{role}_loss": means[f"loss/{role}"] for role in self.game.players if f"loss/{role}" in means})
        return self.game.hooks.call_each("after_epoch", epoch=self.game.epoch, means=means)

    def _announce_lost_values(self) -> None:
        """Announce each metric that had non-finite values, once, unless the guard has reported a non-finite turn."""
        game, info = self.game, self.record.info
        lost, game.metrics.lost = game.metrics.lost, set()
        explained, game.guard.reported = game.guard.reported, False
        for name in sorted(lost - set(info.not_finite)) if not explained else ():
            InfoView(info).setdefault("not_finite", []).append(name)
            self.record.announce(f"{name} had values that are not finite, up to step {game.step}; its means are of the others.")
