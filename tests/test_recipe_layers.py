"""What a recipe is made of: defaults, what it extends, itself, its fallback and ``--set``, and how one is laid over another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from recipe_support import BASE, FakeCatalogue, load, mistakes

import ganlab.recipe.shipped
from ganlab.errors import RecipeError, UsageError
from ganlab.recipe import Recipe, describe_recipe, load_recipe, shipped_recipes, to_toml

DEFAULTS = """\
[tracking]
use = "mlflow"
[[tricks]]
use = "plot"
every = 5
[[tricks]]
name = "late"
use = "clamp"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and one of shipped recipes, without defaults."""
    (tmp_path / "here").mkdir()
    (tmp_path / "shipped").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(ganlab.recipe.shipped, "shipped_folder", lambda: tmp_path / "shipped")
    return tmp_path / "shipped"


def names(recipe: Recipe) -> list[str]:
    return [trick.name for trick in recipe.tricks]


def over(upper: str, lower: str = BASE, *overrides: str, **options: Any) -> Recipe:
    Path("base.toml").write_text(lower, encoding="utf-8")
    return load(f'extends = "base.toml"\n{upper}', *overrides, **options)


# -- one file --------------------------------------------------------------------------------------------------------------


def test_a_recipe_is_whole_and_typed() -> None:
    recipe = load('description = "a ring"\n' + BASE)
    assert (recipe.name, recipe.path, recipe.description, recipe.plugins) == ("r", Path("r.toml"), "a ring", [])
    assert (recipe.data.kind, recipe.data.name, recipe.data.use, recipe.data.where) == ("dataset", "data", "ring", "r.toml:2")
    assert recipe.data.options == {"modes": 8, "spread": 0.1}
    assert recipe.generator.network.options["hidden"] == [32, 32]
    assert (recipe.generator.optimizer.name, recipe.generator.optimizer.options) == (
        "generator.optimizer",
        {"lr": 1e-3, "betas": (0.9, 0.999)},
    )
    assert recipe.losses["generator"] is recipe.losses["discriminator"]
    assert [(t.name, t.use, t.options, t.where) for t in recipe.tricks] == [
        ("clamp", "clamp", {"margin": 1e-2}, "r.toml:21"),
        ("clip", "gradient_clipping", {"player": "both", "max_norm": 1.0}, "r.toml:24"),
    ]
    assert (recipe.train.epochs, recipe.train.steps, recipe.train.batch_size) == (3, None, 16)
    assert recipe.schedule.discriminator_turn == "two_passes"
    assert not recipe.has_fallback


def test_every_option_stands_in_the_document() -> None:
    document = load(BASE + "[schedule]\ngenerator_steps = 2").document
    assert list(document) == [
        "name",
        "description",
        "data",
        "noise",
        "generator",
        "discriminator",
        "loss",
        "schedule",
        "tricks",
        "train",
        "evaluation",
    ]
    assert document["generator"] == {
        "use": "mlp",
        "hidden": [32, 32],
        "dropout": 0.0,
        "activation": "relu",
        "even": 0,
        "optimizer": {"use": "adam", "lr": 1e-3, "betas": [0.9, 0.999]},
    }
    assert document["tricks"] == [
        {"use": "clamp", "margin": 1e-2},
        {"name": "clip", "use": "gradient_clipping", "player": "both", "max_norm": 1.0},
    ]
    assert document["schedule"]["generator_steps"] == 2
    assert "steps" not in document["train"], "options that are None are left out: TOML cannot say them"


def test_the_engines_tables_have_these_defaults() -> None:
    document = load("defaults = false\n" + BASE.replace("batch_size = 16\n", "")).document
    assert document["schedule"] == {
        "order": "discriminator_first",
        "discriminator_turn": "two_passes",
        "discriminator_loss": "sum",
        "first_side": "real",
        "real_batches": "shuffled",
        "discriminator_steps": 1,
        "generator_steps": 1,
        "noise": "fresh",
        "generator_mode": "train",
        "discriminator_mode": "train",
        "discriminator_statistics": True,
    }
    assert document["train"] == {
        "epochs": 3,
        "batch_size": 64,
        "seed": 0,
        "device": "auto",
        "dtype": "float32",
        "autocast": "off",
        "tf32": False,
        "compile": False,
        "cuda_graphs": False,
        "threads": 0,
        "log_every": 100,
        "samples": 64,
        "keep_checkpoints": 3,
        "keep_checkpoints_every": 0,
        "keep_best": "",
        "best_is": "lowest",
        "non_finite": "stop",
        "non_finite_most": 10,
        "rollback_lr_factor": 0.5,
    }


def test_the_name_may_be_said() -> None:
    assert load('name = "other"\n' + BASE).name == "other"


def test_a_run_is_named_after_a_file_of_any_name_and_its_recipe_is_one() -> None:
    for file, name in (("my ring, v2.toml", "my_ring_v2"), ("Größe.toml", "Gro_e"), ("Кольцо.toml", "recipe")):
        Path(file).write_text(BASE, encoding="utf-8")
        recipe = load_recipe(file, FakeCatalogue())
        assert recipe.name == name
        Path("again.toml").write_text(to_toml(recipe), encoding="utf-8")
        assert load_recipe("again.toml", FakeCatalogue()).name == name


def test_a_file_may_begin_with_the_mark_that_some_editors_write() -> None:
    Path("marked.toml").write_text(BASE, encoding="utf-8-sig")
    assert load_recipe("marked.toml", FakeCatalogue()).name == "marked"


def test_losses_of_their_own() -> None:
    recipe = load(
        BASE.replace('[loss]\nuse = "bce"', '[loss.generator]\nuse = "bce"\nsaturating = true\n[loss.discriminator]\nuse = "hinge"')
    )
    assert {role: (loss.name, loss.use) for role, loss in recipe.losses.items()} == {
        "generator": ("loss.generator", "bce"),
        "discriminator": ("loss.discriminator", "hinge"),
    }
    assert recipe.document["loss"] == {
        "generator": {"use": "bce", "saturating": True, "real_label": 1.0},
        "discriminator": {"use": "hinge"},
    }


# -- one layer over another ------------------------------------------------------------------------------------------------


def test_tables_merge_key_by_key() -> None:
    recipe = over("[data]\nmodes = 5\n[train]\nbatch_size = 4")
    assert (recipe.data.use, recipe.data.options["modes"]) == ("ring", 5)
    assert (recipe.train.epochs, recipe.train.batch_size) == (3, 4)


def test_another_component_drops_the_options_of_the_one_below() -> None:
    assert over('[data]\nuse = "digits"').data.options == {"classes": None}


def test_the_same_component_named_again_keeps_them() -> None:
    assert over('[data]\nuse = "ring"\nspread = 0.5', BASE.replace("modes = 8", "modes = 3")).data.options == {"modes": 3, "spread": 0.5}


def test_the_optimizer_survives_another_network() -> None:
    recipe = over('[generator]\nuse = "cnn"\n[generator.optimizer]\nbetas = [0.5, 0.9]')
    assert recipe.generator.network.options == {"channels": 8}
    assert recipe.generator.optimizer.options == {"lr": 1e-3, "betas": (0.5, 0.9)}
    recipe = over('[generator.optimizer]\nuse = "sgd"\nlr = 0.1')
    assert recipe.generator.network.options["hidden"] == [32, 32]
    assert recipe.generator.optimizer.options == {"lr": 0.1}


@pytest.mark.parametrize(("below", "above"), [("epochs = 3", "steps = 7"), ("steps = 7", "epochs = 3")])
def test_steps_and_epochs_replace_each_other(below: str, above: str) -> None:
    train = over(f"[train]\n{above}", BASE.replace("epochs = 3", below)).document["train"]
    assert {key for key in train if key in ("steps", "epochs")} == {above.split()[0]}


def test_a_loss_for_both_replaces_two() -> None:
    two = BASE.replace('[loss]\nuse = "bce"', '[loss.generator]\nuse = "bce"\n[loss.discriminator]\nuse = "hinge"')
    assert over('[loss]\nuse = "bce"\nsaturating = true', two).document["loss"] == {"use": "bce", "saturating": True, "real_label": 1.0}


def test_a_loss_for_one_player_leaves_the_other_what_it_had() -> None:
    one = BASE.replace('use = "bce"', 'use = "bce"\nreal_label = 0.9')
    assert over('[loss.discriminator]\nuse = "hinge"', one).document["loss"] == {
        "generator": {"use": "bce", "saturating": False, "real_label": 0.9},
        "discriminator": {"use": "hinge"},
    }
    assert over("[loss.generator]\nsaturating = true", one).document["loss"] == {
        "generator": {"use": "bce", "saturating": True, "real_label": 0.9},
        "discriminator": {"use": "bce", "saturating": False, "real_label": 0.9},
    }


def test_one_loss_for_both_merges_like_any_component() -> None:
    one = BASE.replace('use = "bce"', 'use = "bce"\nreal_label = 0.9')
    assert over("[loss]\nsaturating = true", one).document["loss"] == {"use": "bce", "saturating": True, "real_label": 0.9}
    assert over('[loss]\nuse = "hinge"', one).document["loss"] == {"use": "hinge"}


def test_losses_of_their_own_merge_one_by_one() -> None:
    two = BASE.replace('[loss]\nuse = "bce"', '[loss.generator]\nuse = "bce"\nreal_label = 0.9\n[loss.discriminator]\nuse = "bce"')
    assert over('[loss.generator]\nsaturating = true\n[loss.discriminator]\nuse = "hinge"', two).document["loss"] == {
        "generator": {"use": "bce", "saturating": True, "real_label": 0.9},
        "discriminator": {"use": "hinge"},
    }


def test_the_schedule_merges_key_by_key() -> None:
    schedule = over('[schedule]\norder = "generator_first"', BASE + "[schedule]\ngenerator_steps = 2").schedule
    assert (schedule.order, schedule.generator_steps) == ("generator_first", 2)


def test_tables_among_the_options_merge_key_by_key() -> None:
    below = BASE.replace('use = "ring"\nmodes = 8', 'use = "folder"\npath = "a"\ncorners = { left = 1, right = 2 }\nnames = ["x"]')
    options = over('[data]\ncorners.left = 3\nnames = ["y"]', below).document["data"]
    assert (options["corners"], options["names"]) == ({"left": 3, "right": 2}, ["y"]), "but lists are replaced"


def test_tricks_merge_by_name_and_new_ones_come_last() -> None:
    recipe = over('[[tricks]]\nuse = "plot"\n[[tricks]]\nname = "clip"\nmax_norm = 2.0\n[[tricks]]\nuse = "clamp"\nmargin = 0.2')
    assert [(trick.name, trick.options) for trick in recipe.tricks] == [
        ("clamp", {"margin": 0.2}),
        ("clip", {"player": "both", "max_norm": 2.0}),
        ("plot", {"every": 10}),
    ]


def test_a_trick_of_another_kind_under_the_same_name_takes_its_place() -> None:
    assert next((t.name, t.use, t.options) for t in over('[[tricks]]\nname = "clamp"\nuse = "plot"').tricks) == (
        "clamp",
        "plot",
        {"every": 10},
    )


def test_a_trick_can_be_switched_off_and_on_again() -> None:
    recipe = over('[[tricks]]\nname = "clip"\nenabled = false')
    assert names(recipe) == ["clamp"]
    assert recipe.document["tricks"][1] == {
        "name": "clip", "use": "gradient_clipping", "player": "both", "max_norm": 1.0, "enabled": False,
    }  # fmt: skip
    assert names(over("", BASE.replace('name = "clip"', 'name = "clip"\nenabled = false'), "tricks.clip.enabled=true")) == ["clamp", "clip"]


def test_a_disabled_trick_may_be_one_that_is_not_installed() -> None:
    recipe = load(BASE.replace('name = "clip"\nuse = "gradient_clipping"', 'use = "absent"\nstrength = 3\nenabled = false'))
    assert names(recipe) == ["clamp"]
    assert recipe.document["tricks"][1] == {"use": "absent", "strength": 3, "enabled": False}


def test_extends_goes_down_many_files_and_takes_shipped_names(folder: Path) -> None:
    (folder / "tiny.toml").write_text('name = "tiny"\ndescription = "the tiny one"\n' + BASE, encoding="utf-8")
    Path("sub").mkdir()
    Path("sub/middle.toml").write_text('extends = "tiny"\n[data]\nmodes = 4\nspread = 0.4\n', encoding="utf-8")
    recipe = load('extends = "sub/middle.toml"\n[data]\nmodes = 5\n')
    assert recipe.data.options == {"modes": 5, "spread": 0.4}
    assert (recipe.name, recipe.description) == ("r", "the tiny one"), "a name is not inherited: it is of one recipe"
    assert recipe.noise.where.endswith("shipped/tiny.toml:6")
    assert "extends" not in recipe.document


def test_plugins_of_all_layers_are_loaded_relative_to_their_own_file() -> None:
    Path("sub").mkdir()
    for file in (Path("sub/one.py"), Path("two.py")):
        file.write_text("", encoding="utf-8")
    Path("sub/base.toml").write_text('plugins = ["one.py"]\n' + BASE, encoding="utf-8")
    catalogue = FakeCatalogue()
    text = 'extends = "sub/base.toml"\nplugins = ["two.py", "sub/one.py"]\n[[tricks]]\nuse = "two"\n'
    recipe = load(text, catalogue=catalogue)
    assert [file.path for file in recipe.plugins] == catalogue.files == [Path.cwd() / "sub/one.py", Path.cwd() / "two.py"]
    assert names(recipe) == ["clamp", "clip", "two"]
    assert recipe.document["plugins"] == [str(file.path) for file in recipe.plugins]


# -- defaults --------------------------------------------------------------------------------------------------------------


def test_what_only_the_defaults_list_comes_after_the_recipes_own_tricks(folder: Path) -> None:
    (folder / "defaults.toml").write_text(DEFAULTS, encoding="utf-8")
    assert names(load()) == ["clamp", "clip", "plot", "late", "tracking"]
    assert names(load(BASE, "tricks.extra.use=clamp")) == ["clamp", "clip", "extra", "plot", "late", "tracking"]


def test_a_recipe_that_lists_a_default_says_where_it_is_called(folder: Path) -> None:
    (folder / "defaults.toml").write_text(DEFAULTS, encoding="utf-8")
    recipe = load(BASE.replace('[[tricks]]\nuse = "clamp"', '[[tricks]]\nname = "late"\nmargin = 0.3\n[[tricks]]\nuse = "clamp"'))
    assert names(recipe) == ["late", "clamp", "clip", "plot", "tracking"]
    assert recipe.tricks[0].options == {"margin": 0.3}


def test_defaults_can_be_switched_off_one_by_one_or_all_together(folder: Path) -> None:
    (folder / "defaults.toml").write_text(DEFAULTS, encoding="utf-8")
    assert names(load(BASE, "tricks.plot.enabled=false", "tracking.enabled=false")) == ["clamp", "clip", "late"]
    assert names(load("defaults = false\n" + BASE)) == ["clamp", "clip"]
    assert names(load(BASE, "defaults=false")) == ["clamp", "clip"]


def test_switching_off_a_tracker_that_is_not_there_is_no_mistake() -> None:
    recipe = load(BASE, "tracking.enabled=false")
    assert names(recipe) == ["clamp", "clip"]
    assert recipe.document["tracking"] == {"enabled": False}


# -- fallback --------------------------------------------------------------------------------------------------------------

FALLBACK = '[fallback]\ndata = { use = "digits" }\ntrain = { steps = 9 }\n[[fallback.tricks]]\nname = "clip"\nmax_norm = 9.0\n'


def test_a_fallback_waits_until_it_is_asked_for() -> None:
    recipe = load(BASE + FALLBACK)
    assert (recipe.has_fallback, recipe.data.use, recipe.train.epochs) == (True, "ring", 3)
    assert recipe.document["fallback"] == {
        "data": {"use": "digits"},
        "train": {"steps": 9},
        "tricks": [{"name": "clip", "max_norm": 9.0}],
    }


def test_a_fallback_is_a_layer_between_the_recipe_and_set() -> None:
    recipe = load(BASE + FALLBACK, "train.batch_size=3", "tricks.clip.player=generator", fallback=True)
    assert (recipe.has_fallback, "fallback" in recipe.document) == (False, False)
    assert recipe.document["data"] == {"use": "digits"}
    assert (recipe.train.steps, recipe.train.epochs, recipe.train.batch_size) == (9, None, 3)
    assert recipe.tricks[1].options == {"player": "generator", "max_norm": 9.0}


def test_a_fallback_is_inherited_and_changed_like_anything_else() -> None:
    recipe = over("[fallback.train]\nepochs = 4", BASE + FALLBACK, fallback=True)
    assert (recipe.data.use, recipe.train.epochs, recipe.train.steps) == ("digits", 4, None)
    assert load(BASE + FALLBACK, "fallback.train.steps=2", fallback=True).train.steps == 2


def test_an_override_that_only_the_recipe_can_take_is_wrong_only_once_the_fallback_is_taken() -> None:
    assert load(BASE + FALLBACK, "data.modes=3").data.options["modes"] == 3
    assert mistakes(BASE + FALLBACK, "data.modes=3", fallback=True) == [
        "--set data.modes=3: dataset 'digits' has no option 'modes'; choices: classes"
    ]
    assert mistakes(BASE + FALLBACK, "fallback.data.modes=3") == [
        "--set fallback.data.modes=3: dataset 'digits' has no option 'modes'; choices: classes"
    ]


def test_a_recipe_without_fallback_cannot_take_one() -> None:
    with pytest.raises(UsageError) as caught:
        load(fallback=True)
    assert str(caught.value) == (
        "recipe r.toml has no [fallback]\n"
        'add one for the case that the data is not available, for instance: fallback.data = { use = "digits" }'
    )


# -- finding ---------------------------------------------------------------------------------------------------------------


def test_shipped_recipes_are_found_by_name(folder: Path) -> None:
    (folder / "tiny.toml").write_text('description = "small"\n' + BASE, encoding="utf-8")
    (folder / "defaults.toml").write_text(DEFAULTS, encoding="utf-8")
    assert shipped_recipes() == {"tiny": folder / "tiny.toml"}
    assert describe_recipe(folder / "tiny.toml") == "small"
    assert names(load_recipe("tiny", FakeCatalogue())) == ["clamp", "clip", "plot", "late", "tracking"]


def test_recipes_lie_in_the_package_of_a_wheel_and_beside_it_in_a_checkout(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(ganlab.recipe.shipped, "__file__", str(tmp_path / "site" / "ganlab" / "recipe" / "shipped.py"))
    (tmp_path / "site" / "recipes").mkdir(parents=True)
    assert ganlab.recipe.shipped.shipped_folder() == tmp_path / "site" / "recipes"
    (tmp_path / "site" / "ganlab" / "recipes").mkdir(parents=True)
    assert ganlab.recipe.shipped.shipped_folder() == tmp_path / "site" / "ganlab" / "recipes"


def test_the_checkout_ships_its_recipes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert "defaults" not in shipped_recipes()
    assert shipped_recipes()["ring"].name == "ring.toml"


@pytest.mark.parametrize("text", ["description = 3", "not toml", "", "description = '''\n"])
def test_a_description_that_cannot_be_read_is_empty(text: str) -> None:
    Path("r.toml").write_text(text, encoding="utf-8")
    assert describe_recipe(Path("r.toml")) == ""
    assert describe_recipe(Path("absent.toml")) == ""


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tny", "there is no shipped recipe 'tny'; did you mean 'tiny'? (choices: tiny)"),
        ("mine", "there is no shipped recipe 'mine'; did you mean the file mine.toml?"),
        ("min.toml", "recipe 'min.toml' does not exist; did you mean mine.toml?"),
        ("tiny.toml", "recipe 'tiny.toml' does not exist; did you mean the shipped recipe 'tiny'?"),
        ("zzz.toml", "recipe 'zzz.toml' does not exist"),
        ("away/mine.toml", "recipe 'away/mine.toml' does not exist, nor does the folder away"),
    ],
)
def test_a_recipe_that_is_not_there(folder: Path, word: str, message: str) -> None:
    (folder / "tiny.toml").write_text(BASE, encoding="utf-8")
    Path("mine.toml").write_text(BASE, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_recipe(word, FakeCatalogue())
    assert str(caught.value) == f"{message}\n`ganlab recipes` lists those that come with ganlab"
    assert caught.value.exit_code == 2


def test_a_folder_is_not_a_recipe() -> None:
    Path("runs/one").mkdir(parents=True)
    Path("runs/one/recipe.toml").write_text(BASE, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_recipe("runs/one", FakeCatalogue())
    assert str(caught.value) == "'runs/one' is a folder, not a recipe\nits recipe is runs/one/recipe.toml"


def test_a_recipe_that_extends_itself_in_the_end() -> None:
    Path("b.toml").write_text('\nextends = "r.toml"\n', encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load('extends = "b.toml"')
    assert caught.value.mistakes == ["b.toml:2: `extends` forms a cycle: r.toml -> b.toml -> r.toml"]
