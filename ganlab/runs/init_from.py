"""``train.init_from``: a new run that begins with the weights of another."""

from __future__ import annotations

from pathlib import Path

from ganlab.errors import UsageError
from ganlab.game.build import ROLES
from ganlab.recipe import display
from ganlab.records.folder import RunFolder
from ganlab.runs import retention
from ganlab.runs.run import Run
from ganlab.storage import checkpoint


def load_weights(run: Run, path: Path) -> None:
    """``train.init_from``: both networks' weights from a checkpoint file, or from a run's last checkpoint.

    Raises:
        UsageError: there is none, or it is of other networks.
    """
    if path.is_dir():
        folder = RunFolder(path)
        if not folder.checkpoint_files():
            raise UsageError(f"train.init_from = '{display(path)}': the run has no checkpoint", "name a run's folder or a checkpoint file")
        path, state, skipped = retention.newest_valid(folder)
        for text in skipped:
            run.announce(f"train.init_from: {text}")
    elif path.is_file():
        state = checkpoint.load(path)
    else:
        raise UsageError(
            f"train.init_from = '{display(path)}': there is no such file or folder",
            "name a run's folder or a checkpoint file; `ganlab runs` lists runs",
        )
    for role in ROLES:
        try:
            run.players[role].network.load_state_dict(state[role]["network"])
        except RuntimeError as error:
            detail = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
            raise UsageError(f"train.init_from: the {role} of {path} is another network than the recipe's: {detail}") from error
    run.info["init_from"] = str(path)
