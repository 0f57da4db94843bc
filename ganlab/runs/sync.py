"""``ganlab sync``: send what a run could not send to its tracker while it trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from ganlab.errors import UsageError
from ganlab.game.factories import make, owner_of
from ganlab.game.hooks import Trick, connect
from ganlab.game.random_streams import Streams
from ganlab.recipe import Lookup
from ganlab.records.copies import separated
from ganlab.records.request import RunRequest
from ganlab.records.summaries import RunSummary
from ganlab.records.trust import is_own
from ganlab.runs.saved_recipe import recipe_of


def sync_run(summary: RunSummary, library: Lookup, request: RunRequest, tell: Callable[[str], None]) -> None:
    """Call the hook ``sync`` of a run's tricks, which send what is missing at their tracker. Calling it twice changes nothing.

    Args:
        request: ``overrides`` may name another tracker; ``trust`` is needed for a run of another account.

    Raises:
        UsageError: no trick of the run has the hook, the run is running, or it is another account's and not trusted.
        GanlabError: the tracker cannot be reached.
    """
    folder, info = summary.folder, summary.folder.read_info()
    if folder.locked_elsewhere():
        raise UsageError(f"run {summary.id} is still being written, and is sent by its own process", "wait until it has ended")
    own = is_own(folder, info)
    info, copied = separated(folder, info)
    if copied:
        folder.write_info(info.replaced(announcements=[*info.announcements, copied]))
        tell(copied)
    request = replace(request, trust=request.trust or own, command="sync")  # the run's copy of a plugin file is enough
    recipe = recipe_of(folder, info, library, request)
    tricks = [Trick(choice.name, make(choice), owner_of(choice)) for choice in recipe.tricks]
    if not any("sync" in trick.methods() for trick in tricks):
        raise UsageError(
            f"no trick of run {summary.id} sends it anywhere: its recipe says `[tracking] enabled = false`",
            f"to send it: `ganlab sync {folder.path} --set tracking.enabled=true`",
        )
    connect(tricks, Streams(recipe.train.seed, torch.device("cpu")), tell, {}).sync(path=folder.path, tell=tell)
