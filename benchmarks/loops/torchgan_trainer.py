"""T0 and T2 with torchgan's Trainer and its minimax losses, which make a forward pass of G for each loss and look at it in each step.

What torchgan does at the end of an epoch (a checkpoint, and sample images) is left out: its image sheet passes ``range=`` to
torchvision's ``make_grid``, which has had no such parameter since 0.13, so that every run would crash there. The loader that it is
given goes on over the ends of epochs and stops it by an exception when the steps are over.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import torch
from support.setting import Setting

from loops.common import Account, batches, begin, loader, perceptron, pixels, skipped

os.environ.setdefault("CONSOLE_LOGGING", "0")  # else it prints in every step
os.environ.setdefault("TENSORBOARD_LOGGING", "0")
os.environ.setdefault("VISDOM_LOGGING", "0")


class Enough(Exception):
    """The steps are over."""


class Endless:
    """Batches across epochs. Its ``batch_size`` is what the trainer asks for."""

    def __init__(self, setting: Setting, account: Account, source: Any) -> None:
        self.setting, self.account, self.source = setting, account, source
        self.batch_size = setting.document["train"]["batch_size"]

    def __iter__(self) -> Iterator[torch.Tensor]:
        for images in batches(self.source, self.setting):
            yield images.reshape(len(images), -1)
            self.account.due()
        raise Enough


def main() -> None:
    setting = begin()
    try:
        from torchgan.losses import MinimaxDiscriminatorLoss, MinimaxGeneratorLoss
        from torchgan.models import Discriminator, Generator
        from torchgan.trainer import Trainer
    except Exception as error:  # whatever an old library raises against a new one
        skipped(f"torchgan cannot be imported here ({type(error).__name__}: {error}); pip install 'ganlab[benchmarks]' brings it")

    class G(Generator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(setting.document["noise"]["dimension"])
            self.layers = perceptron(setting, "generator")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)  # type: ignore[no-any-return]

    class D(Discriminator):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(pixels(setting))
            self.layers = perceptron(setting, "discriminator")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers(x)  # type: ignore[no-any-return]

    def described(network: type, role: str) -> dict[str, object]:
        table = setting.document[role]["optimizer"]
        optimizer = {"name": torch.optim.Adam, "args": {"lr": table["lr"], "betas": tuple(table["betas"]), "eps": table["eps"]}}
        return {"name": network, "optimizer": optimizer}

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            {"discriminator": described(D, "discriminator"), "generator": described(G, "generator")},
            [MinimaxDiscriminatorLoss(), MinimaxGeneratorLoss()],
            device=torch.device("cpu"),
            epochs=1,
            checkpoints=f"{folder}/model/gan",
            recon=f"{folder}/images",
        )
        source = loader(setting)
        account = Account(setting)
        try:
            trainer(Endless(setting, account, source))
        except Enough:
            account.stop()
    logs = trainer.logger.get_loss_viz().logs
    account.step = setting.steps
    for role, name in (("discriminator", "MinimaxDiscriminatorLoss"), ("generator", "MinimaxGeneratorLoss")):
        account.updates[role] = len(logs[name])
        for loss in logs[name][setting.steps // 2 :]:
            account.losses(**{role: loss})
    account.end()


if __name__ == "__main__":
    main()
