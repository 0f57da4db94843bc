"""Load the recipe of an existing run from its folder, with its plugin files, as far as the folder is trusted."""

from __future__ import annotations

from ganlab.errors import RecipeError
from ganlab.recipe import Lookup, Recipe, load_recipe
from ganlab.records import distributions, plugin_files, trust
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.run_info import RunInfo


def recipe_of(folder: RunFolder, info: RunInfo, library: Lookup, request: RunRequest) -> Recipe:
    """The recipe of a run; its plugin files are loaded into ``library``.

    No code of another account's run is executed, and no path in it is followed, unless ``request`` trusts it.

    Raises:
        UsageError: the run is not trusted and refers to something outside of its folder, or a plugin file has changed.
    """
    own = trust.is_own(folder, info)
    if not (own or request.trust):
        trust.refuse_strangers_files(folder, info, request)
    for file, content in plugin_files.contents_to_run(folder, info, own, request).items():
        library.add_file(file, content)
    try:
        recipe = load_recipe(folder.recipe, library, request.overrides)
    except RecipeError as error:
        raise distributions.add_missing_plugins(error, folder, info, request) from error
    if not (own or request.trust):
        trust.refuse_strangers_options(folder, recipe, request)
    return recipe
