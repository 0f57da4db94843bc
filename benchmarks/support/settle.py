"""Resolve a recipe as ``ganlab run`` would, and print what came of it as JSON: ``python settle.py RECIPE DATA_ROOT [KEY=VALUE ...]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ganlab.errors import GanlabError, RecipeError
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.start import assemble, find_data
from ganlab.runs.workspace import Workspace


def main() -> None:
    recipe, root, *overrides = sys.argv[1:]
    workspace = Workspace(data=Path(root) if root else None, tell=lambda text: None)
    try:
        found = find_data(recipe, Catalogue.of_installed(), overrides, workspace, download=False)
        if found.why:
            raise GanlabError(f"the data set '{found.wanted}' is not here. {found.why}")
        run = assemble(found.recipe, found.dataset, workspace, in_folder=False)
    except GanlabError as error:
        print(error.mistakes[0] if isinstance(error, RecipeError) else error.message)
        sys.exit(error.exit_code)
    told = {
        "document": run.recipe.document,
        "shape": list(run.dataset.shape),
        "samples": len(run.dataset),
        "data_root": str(workspace.data_root()),
        "checkpoint_every": run.checkpointing.every,
        "sample_every": run.timetable.sampler.every,
    }
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
