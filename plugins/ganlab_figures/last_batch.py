"""The trick ``last_batch``: an epoch's last batch looked at by itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import softplus

from ganlab.errors import UsageError
from ganlab.hookspecs import hookimpl
from ganlab.pictures import save_png

if TYPE_CHECKING:
    from ganlab import Run, Turn

FOLDER = "last_batches"


@dataclass
class LastBatch:
    """At the end of each epoch, report its last batch by itself: both losses on it before D's update, and a sheet of its own fakes.

    This is what the MATLAB tutorial of a small GAN reports. Logged: ``last_batch/discriminator_loss``, the loss of D's latest turn
    with fakes, and ``last_batch/generator_loss``, BCE(D(G(z)), 1) of these fakes, whatever G's own loss is. The sheets
    are in the run's folder ``last_batches``; unlike those in ``samples`` each is of other noise.

    Options:
        samples: fakes on a sheet, the batch's first.
    """

    samples: Annotated[int, Field(ge=1, le=1024)] = 16

    fakes: Tensor | None = field(default=None, init=False, repr=False)  # of D's latest turn with fakes
    scores: Tensor | None = field(default=None, init=False, repr=False)
    loss: Tensor | None = field(default=None, init=False, repr=False)

    @hookimpl
    def after_build(self, run: Run) -> None:
        loss = run.losses["discriminator"]
        if not loss.logits:
            raise UsageError(
                f"last_batch needs scores that are logits, and those of {loss.owner} are not", "use the loss bce, or remove last_batch"
            )

    @hookimpl
    def before_update(self, turn: Turn) -> None:
        if turn.role == "discriminator" and turn.fake is not None and turn.fake_scores is not None and turn.loss is not None:
            self.fakes, self.scores, self.loss = turn.fake.detach(), turn.fake_scores.detach(), turn.loss.detach()

    @hookimpl
    def after_epoch(self, run: Run) -> None:
        if self.fakes is None or self.scores is None or self.loss is None:  # D has not played
            return
        run.record("last_batch/discriminator_loss", self.loss)
        run.record("last_batch/generator_loss", softplus(-self.scores).mean(0))
        if run.folder is not None:
            fakes = self.fakes.reshape(-1, *run.dataset.shape)  # packing has joined several
            picture = run.dataset.picture(fakes[: self.samples].cpu())
            path = run.path / FOLDER / f"step_{run.step:09d}.png"
            path.parent.mkdir(exist_ok=True)
            save_png(picture, path)
            run.show_picture("last_batch", picture, path)
