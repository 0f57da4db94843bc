"""T0 and T2 as a plain Lightning module with manual optimization, the only way to have two optimizers.

The Trainer is as lean as it can be: no logger, no checkpoints, no progress bar; it must be told so, for by default it has all three.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy

from loops.common import Account, adam, begin, loader, perceptron, skipped


def main() -> None:
    setting = begin()
    try:
        import lightning
    except Exception as error:  # whatever an old library raises against a new one
        skipped(f"lightning cannot be imported here ({type(error).__name__}: {error}); pip install 'ganlab[benchmarks]' brings it")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Game(lightning.LightningModule):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.automatic_optimization = False
            self.generator = perceptron(setting, "generator")
            self.discriminator = perceptron(setting, "discriminator")
            self.latent_size = setting.document["noise"]["dimension"]
            self.account: Account | None = None

        def configure_optimizers(self) -> list[torch.optim.Optimizer]:
            return [adam(setting, "discriminator", self.discriminator), adam(setting, "generator", self.generator)]

        def on_train_start(self) -> None:
            self.account = Account(setting)

        def fakes(self, rows: int) -> torch.Tensor:
            return self.generator(torch.randn(rows, self.latent_size, device=self.device))  # type: ignore[no-any-return]

        def training_step(self, batch: Any, _index: int) -> None:
            assert self.account is not None
            due = self.account.due()
            images = batch[0].flatten(1)
            ones, zeros = torch.ones(len(images), 1), torch.zeros(len(images), 1)
            d_optimizer, g_optimizer = self.optimizers()

            self.toggle_optimizer(d_optimizer)
            fakes = self.fakes(len(images)).detach()
            d_loss = cross_entropy(self.discriminator(images), ones) + cross_entropy(self.discriminator(fakes), zeros)
            d_optimizer.zero_grad()
            self.manual_backward(d_loss)
            d_optimizer.step()
            self.untoggle_optimizer(d_optimizer)

            self.toggle_optimizer(g_optimizer)
            g_loss = cross_entropy(self.discriminator(self.fakes(len(images))), ones)
            g_optimizer.zero_grad()
            self.manual_backward(g_loss)
            g_optimizer.step()
            self.untoggle_optimizer(g_optimizer)
            if due:
                self.account.losses(discriminator=d_loss.item(), generator=g_loss.item())
            if self.account.step == setting.steps:
                self.account.updates = {"discriminator": setting.steps, "generator": setting.steps}
                self.account.stop()
                self.trainer.should_stop = True

    game = Game()
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(accelerator="cpu", devices=1, max_epochs=-1, **quiet)
    trainer.fit(game, loader(setting))
    assert game.account is not None
    game.account.end()


if __name__ == "__main__":
    main()
