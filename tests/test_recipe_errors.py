"""Every mistake in a recipe: the whole text, the place, and all of them at once."""

# ruff: noqa: E501 - whole texts stand on one line
from __future__ import annotations

from pathlib import Path

import pytest
from recipe_support import BASE, FakeCatalogue, load, mistakes

import ganlab.recipe.shipped
from ganlab.errors import PluginError, RecipeError, UsageError
from ganlab.recipe import load_recipe
from ganlab.registry.entry import BrokenPlugin

TABLES = (
    "choices: data, defaults, description, discriminator, evaluation, extends, fallback, generator, judge, loss, metrics, name, noise, "
    "plugins, sampling_noise, schedule, "
    "tracking, train, tricks"
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ganlab.recipe.shipped, "shipped_folder", lambda: tmp_path / "none")


def changed(old: str, new: str) -> str:
    assert old in BASE
    return BASE.replace(old, new, 1)


def folder(options: str) -> str:
    return changed('use = "ring"\nmodes = 8', f'use = "folder"\n{options}')


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    text = changed("modes = 8", "modes = 0").replace("epochs = 3", "epoch = 3").replace('"normal"', '"nomral"')
    with pytest.raises(RecipeError) as caught:
        load("genrator = 1\n" + text, "noise.dimension=0")
    assert str(caught.value) == (
        f"r.toml:1: unknown key 'genrator'; did you mean 'generator'? ({TABLES})\n"
        "r.toml:4: data.modes must be a whole number of at least 1, not 0\n"
        "r.toml:6: noise.use: there is no noise 'nomral'; did you mean 'normal'? (choices: normal)\n"
        "r.toml:28: unknown key 'epoch' in [train]; did you mean 'epochs'? (choices: autocast, batch_size, best_is, checkpoint_every, "
        "checkpoint_minutes, compile, cuda_graphs, device, discriminator_batch_size, dtype, epochs, init_from, keep_best, keep_checkpoints, keep_checkpoints_every, "
        "log_every, non_finite, non_finite_most, rollback_lr_factor, sample_every, samples, seed, steps, tf32, threads)\n"
        "put these right, then `ganlab check r.toml`; `ganlab schema` prints all that a recipe may say"
    )
    assert caught.value.exit_code == 2


def test_one_mistake_has_a_hint_of_its_own() -> None:
    with pytest.raises(RecipeError) as caught:
        load(changed("modes = 8", "modes = 0"))
    assert caught.value.hint == "put it right, then `ganlab check r.toml`; `ganlab schema` prints all that a recipe may say"


def test_a_broken_plugin_is_named_when_something_is_not_found() -> None:
    catalogue = FakeCatalogue(broken=[BrokenPlugin("odd", "odd-plugin 0.3", "ModuleNotFoundError: No module named 'even'\nmore")])
    for text in (changed('"ring"', '"odd_ring"'), changed("[train]", '[fallback.data]\nuse = "odd_digits"\n[train]')):
        with pytest.raises(RecipeError) as caught:
            load(text, catalogue=catalogue)
        assert caught.value.hint.splitlines()[0] == (
            "plugin 'odd' (odd-plugin 0.3) could not be loaded: ModuleNotFoundError: No module named 'even'"
        )
    with pytest.raises(RecipeError) as caught:
        load(changed("modes = 8", "modes = 0"), "tricks.x there is no y=1", catalogue=catalogue)
    assert " there is no " in caught.value.mistakes[1]  # which are words of the recipe
    assert "odd" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # tables and keys
        ('[data]\nuse = "ring"', "[data]", "r.toml:1: data does not say which dataset: add use = \"...\" (choices: digits, folder, ring)"),
        ('use = "ring"', "use = 3", "r.toml:2: data.use must be the name of a dataset in quotes, not 3"),
        ("[noise]", "[nose]", f"r.toml:4: unknown table 'nose'; did you mean 'noise'? ({TABLES})"),
        ("[train]\n", "[[trick]]\n[train]\n", f"r.toml:26: unknown table 'trick'; did you mean 'tricks'? ({TABLES})"),
        ("[train]\n", "[training]\n", f"r.toml:26: unknown table 'training'; did you mean 'train'? ({TABLES})"),
        ("[data]\n", "epochs = 3\n[data]\n", "r.toml:1: 'epochs' belongs in [train]"),
        ("[data]\n", 'noise_mode = "eval"\n[data]\n', f"r.toml:1: unknown key 'noise_mode'; did you mean 'noise'? ({TABLES})"),
        ("[data]\n", 'order = "simultaneous"\n[data]\n', "r.toml:1: 'order' belongs in [schedule]"),
        ("[data]\n", "schedule = 3\n[data]\n", "r.toml:1: schedule must be a table, not 3"),
        ("[data]\n", "tracking = 3\n[data]\n", "r.toml:1: tracking must be a table, not 3"),
        ("[data]\n", "fallback = 3\n[data]\n", "r.toml:1: fallback must be a table, not 3"),
        ("[data]\n", "name = 3\n[data]\n", "r.toml:1: name must be text in quotes, not 3"),
        ("[data]\n", "name = 'a/b'\n[data]\n", "r.toml:1: name may have letters, digits, _ and - in it, not 'a/b'"),
        ("[data]\n", "defaults = 'no'\n[data]\n", "r.toml:1: defaults must be true or false, not 'no'"),
        ("[data]\n", "description = ['a']\n[data]\n", "r.toml:1: description must be text in quotes, not ['a']"),
        ("[data]\n", "plugins = 'a.py'\n[data]\n", "r.toml:1: plugins must be a list of files in quotes, not 'a.py'"),
        (
            "[data]\n",
            "plugins = [\n'absent.py']\n[data]\n",
            "r.toml:2: plugin file 'absent.py' does not exist; paths are relative to the recipe's folder",
        ),
        ('use = "bce"', 'use = "bce"\noptimizer = 3', "r.toml:20: loss 'bce' has no option 'optimizer'; choices: real_label, saturating"),
        ('use = "bce"', 'use = "hinge"\nmargin = 3', "r.toml:20: loss 'hinge' has no option 'margin'; it has no options"),
        # components
        ('"ring"', '"digit"', "r.toml:2: data.use: there is no dataset 'digit'; did you mean 'digits'? (choices: digits, folder, ring)"),
        (
            'use = "normal"',
            'use = "adam"',
            "r.toml:5: noise.use: there is no noise 'adam'; it is an optimizer, for [generator.optimizer] and [discriminator.optimizer] "
            "(choices: normal)",
        ),
        (
            'use = "clamp"',
            'use = "bce"',
            "r.toml:21: tricks.bce.use: there is no trick 'bce'; it is a loss, for [loss] (choices: clamp, gradient_clipping, mlflow, plot)",
        ),
        (
            '[generator.optimizer]\nuse = "adam"\nlr = 1e-3\n',
            "",
            "r.toml:7: [generator.optimizer] is missing: it says which optimizer to use (choices: adam, sgd)",
        ),
        ('[loss]\nuse = "bce"\n', "", "r.toml:1: [loss] is missing: it says which loss to use (choices: bce, hinge, strange)"),
        (
            '[loss]\nuse = "bce"\n',
            '[loss.generator]\nuse = "bce"\n',
            "r.toml:18: [loss.discriminator] is missing: it says which loss to use (choices: bce, hinge, strange)",
        ),
        (
            '[loss]\nuse = "bce"\n',
            '[loss]\nuse = "bce"\n[loss.generator]\nuse = "bce"\n[loss.discriminator]\nuse = "bce"\n',
            "r.toml:19: loss.use cannot go with [loss.generator]: write one [loss] for both players, or [loss.generator] and "
            "[loss.discriminator]",
        ),
        ('[loss]\nuse = "bce"\n', "[loss]\ngenerator = 1\ndiscriminator.use = 'bce'\n", "r.toml:19: loss.generator must be a table, not 1"),
        (
            '[generator.optimizer]\nuse = "adam"\n',
            '[generator.optimiser]\nuse = "adam"\n',
            "r.toml:10: network 'mlp' has no option 'optimiser'; did you mean 'optimizer'? (choices: activation, dropout, even, hidden, optimizer)",
        ),
        ("margin = 1e-2", "enable = false", "r.toml:22: trick 'clamp' has no option 'enable'; did you mean 'enabled'? (choices: enabled, margin, name)"),
        ("batch_size = 16", "device = 3", "r.toml:28: train.device must be text in quotes, such as 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps', not 3"),
        ("batch_size = 16", "seed = -1", "r.toml:28: train.seed must be a whole number from 0 to 9223372036854775807, not -1"),
        # options
        ('use = "adam"\nlr = 1e-3', 'use = "sgd"', "r.toml:10: generator.optimizer: optimizer 'sgd' needs the option 'lr': a number greater than 0"),
        ("hidden = [32, 32]", "hidden = [\n32,\n-5\n]", "r.toml:11: generator.hidden[1] must be a whole number greater than 0, not -5"),
        ("hidden = [32, 32]", "hidden = [32, 2.5]", "r.toml:9: generator.hidden[1] must be a whole number greater than 0, not 2.5"),
        ("hidden = [32, 32]", 'hidden = "32"', "r.toml:9: generator.hidden must be a list of whole numbers greater than 0 (at least 1), not '32'"),
        ("hidden = [32, 32]", "hidden = []", "r.toml:9: generator.hidden must be a list of whole numbers greater than 0 (at least 1), not []"),
        ("hidden = [32, 32]", "hidden = [32]\ndropout = 1.0", "r.toml:10: generator.dropout must be a number of at least 0 and less than 1, not 1.0"),
        ("hidden = [32, 32]", "hidden = [32]\ndropout = true", "r.toml:10: generator.dropout must be a number of at least 0 and less than 1, not true"),
        ("hidden = [32, 32]", "hidden = [32]\nactivation = 'rleu'", "r.toml:10: generator.activation must be 'relu' or 'tanh', not 'rleu'; did you mean 'relu'?"),
        ("hidden = [32, 32]", "hidden = [32]\neven = 3", "r.toml:10: generator.even: odd sizes have no middle"),
        ("hidden = [32, 32]", "hidden = [32]\neven = 17", "r.toml:10: generator.even must not be seventeen"),
        ('use = "bce"', 'use = "strange"\nodd = 3', "r.toml:20: loss.odd: input should be callable, not 3"),
        ("modes = 8", 'modes = "8"', "r.toml:3: data.modes must be a whole number of at least 1, not '8'"),
        ("modes = 8", "spread = inf", "r.toml:3: data.spread must be a finite number, not inf"),
        ("modes = 8", "modes = 2024-01-01", "r.toml:3: data.modes is a date, which no option accepts; put quotes around it if it is text"),
        ("modes = 8", "modes = 9223372036854775808", "r.toml:3: data.modes is too large for a whole number of TOML (64 bits)"),
        ("modes = 8", "enabled = false", "r.toml:3: dataset 'ring' has no option 'enabled'; choices: modes, spread"),
        ("lr = 1e-3", "betas = [0.9]", "r.toml:12: generator.optimizer.betas is too short: value number 2 is missing"),
        ("lr = 1e-3", "betas = [0.9, 0.9, 0.9]", "r.toml:12: generator.optimizer.betas must be a list of 2 numbers, not [0.9, 0.9, 0.9]"),
        ("lr = 1e-3", "betas = 0.9", "r.toml:12: generator.optimizer.betas must be a list of 2 numbers, not 0.9"),
        # tricks
        ('use = "clamp"', 'usee = "clamp"', 'r.toml:20: [[tricks]] number 1 must say which trick it is: use = "..."'),
        ('use = "clamp"', "use = 3", "r.toml:21: tricks[0].use must be text in quotes, not 3"),
        ('use = "gradient_clipping"', "", 'r.toml:23: trick \'clip\' does not say which one it is: add use = "..." (choices: clamp, gradient_clipping, mlflow, plot)'),
        ('name = "clip"', 'name = "a.b"', "r.toml:24: tricks[1].name may have letters, digits, _ and - in it, not 'a.b'"),
        (
            'name = "clip"\nuse = "gradient_clipping"',
            'use = "clamp"',
            "r.toml:23: there are two tricks named 'clamp' (the first is at r.toml:20): give one of them a name of its own, such as "
            'name = "clamp_2"',
        ),
        ("margin = 1e-2", "margin = 1", "r.toml:22: tricks.clamp.margin must be a number greater than 0 and less than 0.5, not 1"),
        ("margin = 1e-2", "enabled = 1", "r.toml:22: tricks.clamp.enabled must be true or false, not 1"),
        (
            '[[tricks]]\nuse = "clamp"\nmargin = 1e-2\n[[tricks]]\nname = "clip"\nuse = "gradient_clipping"\n',
            '[tricks.clamp]\nuse = "clamp"\n',
            "r.toml:20: tricks are a list: write [[tricks]], with two brackets, before each of them",
        ),
        (
            '[[tricks]]\nuse = "clamp"\nmargin = 1e-2\n[[tricks]]\nname = "clip"\nuse = "gradient_clipping"\n',
            "",
            None,
        ),
        ('name = "clip"', 'name = "tracking"', None),
        (
            'name = "clip"\nuse = "gradient_clipping"\n',
            'name = "tracking"\nuse = "plot"\n[tracking]\nuse = "mlflow"\n',
            "r.toml:23: a trick cannot be named 'tracking': that is the name of the one in [tracking]",
        ),
        ("[train]", '[tracking]\nuse = "mlflow"\nname = "x"\n[train]', "r.toml:28: tracking.name cannot be set: the name is 'tracking'"),
        (
            "[train]",
            '[tracking]\nuse = "mlflwo"\n[train]',
            "r.toml:27: tracking.use: there is no trick 'mlflwo'; did you mean 'mlflow'? (choices: clamp, gradient_clipping, mlflow, plot)",
        ),
        # the engine's own tables
        ("epochs = 3\n", "epochs = 3\nsteps = 4\n", "r.toml:27: train has both `steps` and `epochs`: keep one of them"),
        ("epochs = 3\n", "", "r.toml:26: train does not say how long: add `epochs = ...`, or `steps = ...`"),
        ("[train]\nepochs = 3\nbatch_size = 16\n", "", "r.toml:1: train does not say how long: add `epochs = ...`, or `steps = ...`"),
        ("batch_size = 16", "samples = 2000", "r.toml:28: train.samples must be a whole number from 1 to 1024, not 2000"),
        ("batch_size = 16", "sample_every = 0", "r.toml:28: train.sample_every must be a whole number of at least 1, not 0"),
        ("batch_size = 16", 'device = "gpu"', "r.toml:28: train.device must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', not 'gpu'"),
        ("batch_size = 16", 'device = "cuda:x"', "r.toml:28: train.device must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps', not 'cuda:x'"),
        ("batch_size = 16", 'device = "cuda:1"', None),
        ("batch_size = 16", 'dtype = "float46"', "r.toml:28: train.dtype must be 'float32' or 'float64', not 'float46'; did you mean 'float64'?"),
        # what cannot go together
        (
            "batch_size = 16",
            'dtype = "float64"\nautocast = "bfloat16"',
            "r.toml:29: train.autocast = 'bfloat16' cannot go with dtype = 'float64': one asks for less precision, the other for more",
        ),
        (
            "batch_size = 16",
            'dtype = "float64"\ndevice = "mps"',
            "r.toml:28: train.dtype = 'float64' cannot go with device = 'mps', which does not support it; use 'float32'",
        ),
        (
            "[train]",
            '[schedule]\ndiscriminator_turn = "two_updates"\ndiscriminator_loss = "mean"\n[train]',
            "r.toml:28: schedule.discriminator_loss = 'mean' cannot go with discriminator_turn = 'two_updates': each update has one side's "
            "loss alone; use 'sum', or one of the other turns",
        ),
        (
            "[train]",
            '[schedule]\ndiscriminator_turn = "two_updates"\norder = "simultaneous"\n[train]',
            "r.toml:27: schedule.discriminator_turn = 'two_updates' cannot go with order = 'simultaneous': the second update would see the "
            "first; use 'two_passes' or 'one_pass'",
        ),
        (
            "[train]",
            '[schedule]\norder = "simultaneous"\ngenerator_steps = 2\n[train]',
            "r.toml:28: schedule.generator_steps = 2 cannot go with order = 'simultaneous', where each player plays once a step; use 1, or "
            "another order",
        ),
        (
            "[train]",
            '[schedule]\norder = "simultaneous"\ndiscriminator_steps = 5\n[train]',
            "r.toml:28: schedule.discriminator_steps = 5 cannot go with order = 'simultaneous', where each player plays once a step; use 1, "
            "or another order",
        ),
        # the fallback
        ("[train]", '[fallback]\nextends = "a"\n[train]', "r.toml:27: [fallback] cannot have 'extends': it changes tables of the recipe"),
        ("[train]", '[fallback.data]\nuse = "digit"\n[train]', "r.toml:27: data.use: there is no dataset 'digit'; did you mean 'digits'? (choices: digits, folder, ring)"),
        ("[train]", '[fallback]\ndata = { use = "folder" }\n[train]', "r.toml:27: data: dataset 'folder' needs the option 'path': a path in quotes"),
        ("[train]", "[fallback]\ndata = 3\n[train]", "r.toml:27: data must be a table, not 3"),
        ("[train]", "[fallback]\ndat = 3\n[train]", f"r.toml:27: unknown key 'dat'; did you mean 'data'? ({TABLES})"),
        ("[train]", "[fallback]\ntrain = { steps = 1, epochs = 2 }\n[train]", "r.toml:27: train has both `steps` and `epochs`: keep one of them"),
    ],
)  # fmt: skip
def test_each_mistake(old: str, new: str, expected: str | None) -> None:
    assert mistakes(changed(old, new)) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "r.toml:1: data: dataset 'folder' needs the option 'path': a path in quotes"),
        ("path = 3", "r.toml:3: data.path must be a path in quotes, not 3"),
        ('path = "a"\nsize = 0', "r.toml:4: data.size must be a whole number of at least 1 or 'full', not 0"),
        ('path = "a"\nsize = "ful"', "r.toml:4: data.size must be a whole number of at least 1 or 'full', not 'ful'; did you mean 'full'?"),
        ('path = "a"\nlimits = [1, "b"]', "r.toml:4: data.limits[1] must be a number, not 'b'"),
        ('path = "a"\nweights = { a = 1, b = "c" }', "r.toml:4: data.weights.b must be a number, not 'c'"),
        ('path = "a"\nweights = 3', "r.toml:4: data.weights must be a table, not 3"),
        ('path = "a"\ncorners = { lefft = 3 }', "r.toml:4: unknown key 'lefft' in data.corners; did you mean 'left'? (choices: left, right)"),
        ('path = "a"\ncorners = { right = 3 }', "r.toml:4: data.corners.right must be a whole number divisible by 2, not 3"),
        ('path = "a"\nsuffix = ""', "r.toml:4: data.suffix must be text in quotes (1 to 4 characters), not ''"),
        ('path = "a"\nnames = ["a", "b", "c"]', "r.toml:4: data.names must be a list of texts in quotes (at most 2), not ['a', 'b', 'c']"),
        ('path = "a"\nflags = [[true], [1]]', "r.toml:4: data.flags[1][0] must be true or false, not 1"),
        ('path = "a"\nmixed = [1, "b"]', "r.toml:4: data.mixed[1] must be a whole number, not 'b'"),
        ('path = "a"\nmixed = "b"', "r.toml:4: data.mixed must be a list of whole numbers or a whole number, not 'b'"),
        ('path = "a"\npoint = {}', "r.toml:4: data.point needs 'x': a whole number"),
        ('path = "a"\nflags = 5', "r.toml:4: data.flags must be a list of lists of true or false, not 5"),
        (f'path = "a"\nsuffix = "{"x" * 80}"', f"r.toml:4: data.suffix must be text in quotes (1 to 4 characters), not '{'x' * 56}..."),
    ],
)  # fmt: skip
def test_each_kind_of_option(options: str, expected: str) -> None:
    assert mistakes(folder(options)) == [expected]


def test_a_path_begins_in_the_folder_of_the_file_that_says_it() -> None:
    Path("sub").mkdir()
    text = folder('path = "a/../b"\nsize = 3\nweights = { a = 1 }\ncorners = { left = 2 }\nflags = [[true]]')
    assert load(text, name="sub/r.toml").data.options["path"] == Path.cwd() / "sub" / "b"
    assert load(text, "data.path=c", name="sub/r.toml").data.options["path"] == Path.cwd() / "c"
    home = load(text, "data.path=~/d", name="sub/r.toml")
    assert home.document["data"]["path"] == str(Path.home() / "d")


def test_the_options_of_tables_in_tables_are_taken() -> None:
    options = load(folder('path = "a"\nsize = 3\nweights = { a = 1 }\ncorners = { left = 2 }\nflags = [[true]]')).data.options
    assert (options["path"], options["size"], options["weights"], options["corners"].left) == (Path.cwd() / "a", 3, {"a": 1.0}, 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = \n", "r.toml:1: this is not TOML: the value is not valid; text needs quotes (column 5)"),
        ("\nuse = ring\n", "r.toml:2: this is not TOML: the value is not valid; text needs quotes (column 7)"),
        ("use = 3 ring\n", "r.toml:1: this is not TOML: unexpected text after the value; text needs quotes (column 9)"),
        ("use 3\n", "r.toml:1: this is not TOML: a key must be followed by = and its value (column 5)"),
        ("a = 1\na = 2\n", "r.toml:2: this is not TOML: this key is set twice (column 6)"),
        ("a = [1, 2\n", "r.toml:1: this is not TOML: unclosed array (at the end)"),
        ('a = "x\n', "r.toml:1: this is not TOML: text is not closed with a quote in its line, or has a character that TOML forbids (column 7)"),
        ('a = "C:\\dir"\n', "r.toml:1: this is not TOML: write \\\\ for a backslash, or use single quotes (column 10)"),
        (f"a = {'9' * 5000}\n", "r.toml:1: this is not TOML: a whole number has too many digits"),
        (f"a = {'[' * 5000}\n", "r.toml:1: this is not TOML: lists and tables are nested more than 16 levels deep"),
        (f"a = {'[' * 20}{']' * 20}\n", "r.toml:1: lists and tables are nested more than 16 levels deep"),
    ],
)  # fmt: skip
def test_unreadable_toml(text: str, expected: str) -> None:
    assert mistakes(text) == [expected]


def test_the_largest_and_the_deepest_that_may_be() -> None:
    assert load(changed("modes = 8", "modes = 9223372036854775807")).data.options["modes"] == 2**63 - 1
    assert mistakes(changed("modes = 8", "modes = -9223372036854775808")) == [
        "r.toml:3: data.modes must be a whole number of at least 1, not -9223372036854775808"
    ]
    assert mistakes(changed("modes = 8", "modes = -9223372036854775809")) == [
        "r.toml:3: data.modes is too large for a whole number of TOML (64 bits)"
    ]
    assert mistakes(f"a = {'[' * 16}{']' * 16}\n{BASE}") == [f"r.toml:1: unknown key 'a'; {TABLES}"]
    assert mistakes(f"a = {'[' * 17}{']' * 17}\n{BASE}") == ["r.toml:1: lists and tables are nested more than 16 levels deep"]


def test_a_file_that_is_not_text() -> None:
    Path("r.toml").write_bytes(b"a = 1\n\xff\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("r.toml", FakeCatalogue())
    assert caught.value.mistakes == ["r.toml:2: this is not UTF-8 text"]


def test_a_mistake_in_a_file_below_names_that_file() -> None:
    Path("base.toml").write_text(changed("modes = 8", "modes = 0"), encoding="utf-8")
    assert mistakes('extends = "base.toml"\n[noise]\ndimension = 0\n') == [
        "r.toml:3: noise.dimension must be a whole number of at least 1, not 0",
        "base.toml:3: data.modes must be a whole number of at least 1, not 0",
    ]
    assert mistakes('extends = "base.toml"\n[data]\nmodes = 3\n') == []


@pytest.mark.parametrize(
    ("extends", "expected"),
    [
        ("3", "r.toml:1: extends must be the name of a shipped recipe or a file in quotes, not 3"),
        ('"bse.toml"', "r.toml:1: extends: recipe 'bse.toml' does not exist; did you mean base.toml?"),
        ('"base"', "r.toml:1: extends: there is no shipped recipe 'base'; did you mean the file base.toml?"),
        ('"broken.toml"', "broken.toml:1: this is not TOML: the value is not valid; text needs quotes (at the end)"),
    ],
)
def test_what_is_extended_must_be_there(extends: str, expected: str) -> None:
    Path("base.toml").write_text(BASE, encoding="utf-8")
    Path("broken.toml").write_text("a = ", encoding="utf-8")
    assert mistakes(f"extends = {extends}\n") == [expected]


def test_a_plugin_file_with_a_name_like_another() -> None:
    Path("radius.py").write_text("", encoding="utf-8")
    assert mistakes('plugins = ["raduis.py"]\n' + BASE) == ["r.toml:1: plugin file 'raduis.py' does not exist; did you mean radius.py?"]


def test_a_check_of_a_plugin_that_raises_is_its_authors_mistake() -> None:
    with pytest.raises(PluginError) as caught:
        load(changed("hidden = [32, 32]", "hidden = [32]\neven = 13"))
    assert str(caught.value) == (
        "r.toml:7: the check of the options of network 'mlp' failed: RuntimeError: thirteen\n"
        "a check in a plugin's annotations must raise ValueError for a wrong value; its author has to fix this"
    )


def test_a_check_of_a_plugin_may_say_it_in_its_own_words() -> None:
    with pytest.raises(UsageError) as caught:
        load(changed("hidden = [32, 32]", "hidden = [32]\neven = 15"))
    assert str(caught.value) == "fifteen is not to be had\ntry 16"


def test_a_list_of_tricks_that_are_no_tables() -> None:
    assert mistakes(f"tricks = [1]\n{BASE[: BASE.index('[[tricks]]')]}{BASE[BASE.index('[train]') :]}") == [
        "r.toml:1: tricks[0] must be a table, not 1"
    ]


def test_a_player_that_is_no_table() -> None:
    assert mistakes(f"generator = 3\n{BASE[: BASE.index('[generator]')]}{BASE[BASE.index('[discriminator]') :]}") == [
        "r.toml:1: generator must be a table, not 3"
    ]


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("r.toml").write_text(BASE, encoding="utf-8")

    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ganlab.recipe.read.read_bytes", refuse)
    with pytest.raises(RecipeError) as caught:
        load_recipe("r.toml", FakeCatalogue())
    assert caught.value.mistakes == ["r.toml: cannot be read: Permission denied"]


def test_a_mistake_of_recipe_and_fallback_alike_is_told_once() -> None:
    text = changed("dimension = 2", "dimension = 0") + '[fallback]\ndata = { use = "digits" }\n'
    assert mistakes(text) == ["r.toml:6: noise.dimension must be a whole number of at least 1, not 0"]
