"""The engine's loop and nothing else: no metrics, no files, no display; no hooks either, unless the recipe's mathematics is in tricks."""

from __future__ import annotations

import tempfile
from pathlib import Path

from support.engine_steps import NoHooks, NoMetrics, opened, seconds_of
from support.setting import laid

from loops.common import Account, begin


def main() -> None:
    setting = begin()
    with tempfile.TemporaryDirectory() as folder:
        length = [f"train.steps={setting.steps}", f"train.seed={setting.seed}", f"train.threads={setting.threads}"]
        run = opened(setting.recipe, Path(folder), laid([*setting.overrides, *length]), setting.data_root)
        run.game.metrics = NoMetrics()  # type: ignore[assignment]
        if not run.tricks:
            run.game.hooks = NoHooks()  # type: ignore[assignment]
        account = Account(setting)
        if setting.warm_up:
            seconds_of(run, setting.warm_up)
        account.seconds = seconds_of(run, setting.steps - setting.warm_up)
        account.updates = {role: player.updates for role, player in run.players.items()}
    account.end()


if __name__ == "__main__":
    main()
