"""A copy of each checkpoint on another disk: for machines that are taken away, and disks that fail."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import ganlab


@dataclass
class Backup:
    """Under the run's own name; checkpoints that the run no longer keeps stay there."""

    folder: Path

    @ganlab.hookimpl
    def after_checkpoint(self, run, path):
        (self.folder / run.id).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, self.folder / run.id / path.name)
