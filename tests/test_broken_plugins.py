"""What a plugin's author may get wrong: each mistake has its one message, whole, and breaks no run that does not use the plugin."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from engine_support import Plugin, hooked
from test_cli import ganlab as command

import ganlab
from ganlab.errors import PluginError, UsageError
from ganlab.registry.catalogue import Catalogue
from ganlab.registry.load_errors import plugin_traceback
from ganlab.screen import terminal
from ganlab.testing import play, prepare

TINY = ("train.steps=2", "train.batch_size=16", "data.samples=500", "tracking.enabled=false", "tricks.loss_plot.enabled=false")
TINY_RUN = [word for line in (*TINY, "evaluation.every=0", "evaluation.at_end=false") for word in ("--set", line)]
REGISTER = '\n\n@ganlab.hookimpl\ndef register_tricks(register):\n    register("mine", Mine)\n'
TRICK = "import ganlab\n\n\nclass Mine:\n    @ganlab.hookimpl\n    def after_step(self, step):\n        pass\n" + REGISTER


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(terminal.console, "width", 300)
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield tmp_path
    for name in [name for name, module in sys.modules.items() if str(getattr(module, "__file__", None)).startswith(str(tmp_path))]:
        del sys.modules[name]  # another test may have a module of that name that is not there


def install(
    distribution: str, module: str, source: str | None, name: str = "sick", requires: tuple[str, ...] = (), points: str = ""
) -> Path:
    """A distribution as pip leaves it, with one plugin in one module; None: its module is not there.

    ``points``: its entry points, where they are others than that plugin.
    """
    folder = Path("site", f"{distribution.replace('-', '_')}-1.0.dist-info")
    folder.mkdir()
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{needs}")
    (folder / "entry_points.txt").write_text(points or f"[ganlab]\n{name} = {module}\n")
    file = Path("site", f"{module}.py").resolve()
    if source is not None:
        file.write_text(source)
    sys.modules.pop(module, None)
    return file


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> str:
    """What a command prints as its error, without the note of which file is run."""
    assert command(*words) == code
    err = capsys.readouterr().err
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith("note: Running the plugin file "))


def runs_none_the_worse(capsys: pytest.CaptureFixture[str]) -> None:
    """A recipe that does not use the plugin trains, and nothing is said of it."""
    assert command("run", "ring", *TINY_RUN) == 0
    printed = capsys.readouterr()
    assert "finished at step 2 of 2" in printed.out
    assert printed.err == ""


# -- installed: `ganlab plugins NAME` says it all, `ganlab plugins` in a line ----------------------------------------------

MISSPELT = "import ganlab\n\n\n@ganlab.hookimpl\ndef register_trikcs(register):\n    pass\n"
KINDS = (
    "choices: register_datasets, register_judges, register_losses, register_metrics, register_networks, register_noises, "
    "register_optimizers, register_tricks"
)
OF = "plugin 'sick' (sick-gan 1.0)"

#: What is in the module, and what is said of it; FILE is its path.
BROKEN: dict[str, tuple[str, str]] = {
    "syntax": (
        "def broken(:\n",
        "SyntaxError: invalid syntax (sick.py, line 1)\n"
        '  File "FILE", line 1\n    def broken(:\n               ^\nSyntaxError: invalid syntax',
    ),
    "import_error": (
        "from ganlab import hookimp\n",
        "ImportError: cannot import name 'hookimp' from 'ganlab' (GANLAB)\n"
        '  File "FILE", line 1, in <module>\n    from ganlab import hookimp\n'
        "ImportError: cannot import name 'hookimp' from 'ganlab' (GANLAB)",
    ),
    "raises": (
        "limit = 1 / 0\n",
        'ZeroDivisionError: division by zero\n  File "FILE", line 1, in <module>\n    limit = 1 / 0\n            ~~^~~\n'
        "ZeroDivisionError: division by zero",
    ),
    "exits": ("import sys\nsys.exit(3)\n", 'SystemExit: 3\n  File "FILE", line 2, in <module>\n    sys.exit(3)\nSystemExit: 3'),
    "unknown_hook": (MISSPELT, f"{OF} implements an unknown hook 'register_trikcs'\ndid you mean 'register_tricks'? ({KINDS})"),
    "hook_of_a_trick": (
        "import ganlab\n\n\n@ganlab.hookimpl\ndef after_step(step):\n    pass\n",
        f"{OF} implements an unknown hook 'after_step'\n"
        "after_step is a hook of tricks: make it a method of a class, and register that in register_tricks",
    ),
    "parameter": (
        "import ganlab\n\n\n@ganlab.hookimpl\ndef register_tricks(registre):\n    pass\n",
        f"{OF}: hook register_tricks has no parameter 'registre'\ndid you mean 'register'? (choices: register)",
    ),
    "default": (
        "import ganlab\n\n\n@ganlab.hookimpl\ndef register_tricks(register=None):\n    pass\n",
        f"{OF}: hook register_tricks has a default value for 'register'\nremove it: the engine passes every parameter",
    ),
    "wrapper": (
        "import ganlab\n\n\n@ganlab.hookimpl(wrapper=True)\ndef register_tricks(register):\n    return (yield)\n",
        f"{OF}: hook register_tricks is a wrapper, which ganlab does not allow\nremove `wrapper=True`, and call `register`",
    ),
    "no_hooks": (
        "import ganlab\n",
        f"{OF} registers nothing\ndefine a function register_tricks(register), or another register_ hook, marked with @ganlab.hookimpl",
    ),
    "not_marked": (
        "def register_tricks(register):\n    pass\n",
        f"{OF} has a function register_tricks that is not marked as a hook\nmark it with @ganlab.hookimpl",
    ),
    "nothing": (
        "import ganlab\n\n\n@ganlab.hookimpl\ndef register_tricks(register):\n    pass\n",
        f'{OF} registers nothing\nits hooks do not call register("name", factory)',
    ),
    "hook_raises": (
        "import ganlab\n\n\n@ganlab.hookimpl\ndef register_tricks(register):\n    register('mine', Mine)\n",
        f"{OF}, in its register_tricks, raised NameError: name 'Mine' is not defined\n"
        "  File \"FILE\", line 6, in register_tricks\n    register('mine', Mine)\n                     ^^^^\n"
        "NameError: name 'Mine' is not defined",
    ),
    "clash": (
        TRICK.replace('"mine"', '"clamp"'),
        f"{OF} brings a trick 'clamp', and so does plugin 'stability' (ganlab {ganlab.__version__})\n"
        "rename one of them, or uninstall the plugin that you do not need",
    ),
    "twice": (
        TRICK + '    register("mine", Mine)\n',
        f"{OF} brings a trick 'mine', and so does {OF}\nrename one of them, or uninstall the plugin that you do not need",
    ),
    "not_callable": (TRICK.replace("Mine)", "3)"), f"{OF}: trick 'mine' is not callable"),
    "no_annotation": (
        "import ganlab\n\n\ndef mine(*, scale=0.5):\n    pass\n" + REGISTER.replace("Mine", "mine"),
        f"trick 'mine' of {OF}: option 'scale' has no annotation\nwrite `scale: float = ...`, for instance",
    ),
    "needs_more": (
        "import ganlab\n\n\ndef mine(scale):\n    pass\n" + REGISTER.replace("Mine", "mine"),
        f"trick 'mine' of {OF}: the engine passes no 'scale', which it requires\n"
        "to make it an option, put it after a star: `*, scale: float`",
    ),
    "takes_no_spec": (
        "import ganlab\n\n\ndef mine(*, width: int = 3):\n    pass\n" + REGISTER.replace("Mine", "mine").replace("tricks", "networks"),
        f"network 'mine' of {OF}: it takes no 'spec', which the engine passes\nmake `spec` its first parameter, before the options",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BROKEN)
def test_an_installed_plugin_that_is_broken(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    source, text = BROKEN[mistake]
    file = install("sick-gan", "sick", source)
    text = text.replace("FILE", str(file)).replace("GANLAB", str(ganlab.__file__))
    assert said(capsys, "plugins", "sick", code=1) == f"error: {OF} cannot be used\nhint: {text}\n"
    assert command("plugins") == 0
    listed = f"These cannot be used. Recipes that do not need them are not affected:\n  sick (sick-gan 1.0): {text.splitlines()[0]}\n"
    assert listed in capsys.readouterr().out
    runs_none_the_worse(capsys)
    expected = f"plugin 'sick' (sick-gan 1.0) could not be loaded: {text.splitlines()[0]}"
    assert f"\nhint: {expected}\n" in said(capsys, "check", "ring", "--set", "tricks.mine.use=mien", code=2)


@pytest.mark.parametrize(
    ("requires", "how"),
    [
        ((), "pip install even, or the package that has this module under another name"),
        (("even",), "pip install even"),
        (("Even >= 2 ; python_version > '3'", "torch"), "pip install 'Even >= 2'"),
        (("torch>=2", "scikit-even>=0.3"), "pip install 'scikit-even>=0.3'"),
    ],
)
def test_an_installed_plugin_whose_dependency_is_missing(requires: tuple[str, ...], how: str, capsys: pytest.CaptureFixture[str]) -> None:
    install("sick-gan", "sick", "import even.more\n", requires=requires)
    text = f"it needs the module 'even', which is not installed: {how}"
    assert said(capsys, "plugins", "sick", code=1) == f"error: {OF} cannot be used\nhint: {text}\n"
    assert command("plugins") == 0
    assert f"\n  sick (sick-gan 1.0): {text}\n" in capsys.readouterr().out
    runs_none_the_worse(capsys)


def test_frames_of_the_backport_of_importlib_metadata_are_left_out() -> None:
    """MLflow imports it, and it then loads the entry points."""
    scope: dict[str, Any] = {}
    exec(compile("def load(plugin):\n    plugin()\n", "/site/importlib_metadata/__init__.py", "exec"), scope)
    exec(compile("def plugin():\n    1 / 0\n", "/site/sick.py", "exec"), scope)
    with pytest.raises(ZeroDivisionError) as caught:
        scope["load"](scope["plugin"])
    error = caught.value.with_traceback(caught.value.__traceback__.tb_next)  # type: ignore[union-attr]
    assert plugin_traceback(error) == '  File "/site/sick.py", line 2, in plugin\nZeroDivisionError: division by zero'


def test_an_entry_point_to_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    install("sick-gan", "sick", None)
    assert said(capsys, "plugins", "sick", code=1) == (
        f"error: {OF} cannot be used\n"
        "hint: its entry point names the module 'sick', which does not exist: pip install --force-reinstall sick-gan\n"
    )
    runs_none_the_worse(capsys)


def test_two_distributions_with_a_plugin_of_one_name_are_both_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("b", "a"):
        install(f"{word}-gan", f"of_{word}", TRICK.replace('"mine"', f'"of_{word}"'))
    assert said(capsys, "plugins", "sick", code=1) == (
        "error: plugin 'sick' (a-gan 1.0 and b-gan 1.0) cannot be used\n"
        "hint: two distributions have a plugin of this name: a-gan 1.0 and b-gan 1.0; pip uninstall a-gan or pip uninstall b-gan\n"
    )
    assert {"of_a", "of_b"} & set(Catalogue.of_installed().names("trick")) == set()
    runs_none_the_worse(capsys)


def test_of_two_installed_plugins_that_clash_neither_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    """If one were, to install the other could change a run."""
    install("good-gan", "good", TRICK + '    register("other", Mine)\n', name="good")
    install("sick-gan", "sick", TRICK)
    install("well-gan", "well", TRICK.replace('"mine"', '"well"'), name="well")
    why = "rename one of them, or uninstall the plugin that you do not need"
    good = "plugin 'good' (good-gan 1.0)"
    for name, one, other in (("good", good, OF), ("sick", OF, good)):
        assert said(capsys, "plugins", name, code=1) == (
            f"error: {one} cannot be used\nhint: {one} brings a trick 'mine', and so does {other}\n{why}\n"
        )
    assert {"mine", "other", "well"} & set(Catalogue.of_installed().names("trick")) == {"well"}
    runs_none_the_worse(capsys)
    assert f"could not be loaded: {OF} brings a trick 'mine', and so does {good}" in said(
        capsys, "run", "ring", *TINY_RUN, "--set", "tricks.mine.use=mine", code=2
    )


def test_a_plugin_brings_all_or_nothing() -> None:
    catalogue = Catalogue()
    catalogue.add(Plugin(tricks={"mine": lambda: None}), "first", "first-dist 1.0")
    with pytest.raises(PluginError):
        catalogue.add(Plugin(tricks={"new": lambda: None, "mine": lambda: None}), "second", "second-dist 2.0")
    assert catalogue.names("trick") == ["mine"]
    assert "second" not in catalogue.plugins


# -- local files: the recipe that names one is refused ---------------------------------------------------------------------


def recipe(plugin: str, more: str = "") -> str:
    Path("mine.toml").write_text(f'extends = "ring"\nplugins = ["{plugin}"]\n{more}\n')
    return "mine.toml"


@pytest.mark.parametrize("mistake", [name for name in BROKEN if name not in ("syntax", "import_error", "raises", "exits")])
def test_a_local_file_that_breaks_a_rule(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    source, text = BROKEN[mistake]
    file = Path("sick.py").resolve()
    file.write_text(source)
    message, _, hint = text.replace("sick-gan 1.0", str(file)).replace("FILE", str(file)).partition("\n")
    assert said(capsys, "check", recipe("sick.py"), code=1) == f"error: {message}\n" + (f"hint: {hint}\n" if hint else "")
    runs_none_the_worse(capsys)


@pytest.mark.parametrize("mistake", ["syntax", "import_error", "raises", "exits"])
def test_a_local_file_that_cannot_be_imported(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    source, text = BROKEN[mistake]
    file = Path("sick.py").resolve()
    file.write_text(source)
    text = text.replace("FILE", str(file)).replace("GANLAB", str(ganlab.__file__)).replace("(sick.py,", f"({file},")
    text = text.replace("(" + str(file) + ", line", "(sick.py, line")
    message, _, hint = text.partition("\n")
    assert said(capsys, "run", recipe("sick.py"), code=1) == f"error: plugin {file} cannot be loaded: {message}\nhint: {hint}\n"
    assert not Path("runs").exists()


def test_a_local_file_whose_dependency_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sick.py").write_text("import even\n")
    assert said(capsys, "check", recipe("sick.py"), code=1) == (
        f"error: plugin {Path('sick.py').resolve()} cannot be loaded: it needs the module 'even', which is not installed\n"
        "hint: pip install even, or the package that has this module under another name\n"
    )


def test_a_local_file_that_is_not_there_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as missing:
        Catalogue().add_file(tmp_path / "mine.py")
    expected = f"plugin file {tmp_path / 'mine.py'} does not exist\npaths in `plugins` are relative to the recipe's folder"
    assert str(missing.value) == expected
    text = tmp_path / "mine.txt"
    text.write_text("")
    with pytest.raises(UsageError) as other:
        Catalogue().add_file(text)
    assert str(other.value) == f"plugin file {text} is not a Python file\nits name must end in .py"


def test_two_local_files_of_one_name_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages and the resolved recipe could not tell them apart."""
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "mine.py")
        files[-1].write_text(TRICK.replace('"mine"', f'"of_{folder}"'))
    Path("mine.toml").write_text('extends = "ring"\nplugins = ["a/mine.py", "b/mine.py"]\n')
    assert said(capsys, "check", "mine.toml", code=1) == (
        f"error: plugin {files[1]} has the name of plugin 'mine' ({files[0]})\nhint: rename the file\n"
    )


def test_an_option_that_is_none_for_want_of_an_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").write_text(
        "from dataclasses import dataclass\n"
        + TRICK.replace("class Mine:", "@dataclass\nclass Mine:\n    scale = 0.5\n    steps: int = 3\n")
        + '    register("other", Other)\n\n\n'
        "class Other:\n    after_step = Mine.after_step\n\n    def __init__(self, scale=0.5, *, steps: int = 3):\n        pass\n"
    )
    hint = "hint: put it right, then `ganlab check mine.toml`; `ganlab schema` prints all that a recipe may say\n"
    why = "has no annotation, so it is not an option: write `scale: float = ...`"
    tricks = '[[tricks]]\nuse = "mine"\nsteps = 4\nscale = 0.1\n'
    assert said(capsys, "check", recipe("mine.py", tricks), code=2) == f"error: mine.toml:6: 'scale' of trick 'mine' {why}\n{hint}"
    why = "is before the star, so it is not an option: write `*, scale`"
    other = tricks.replace("mine", "other")
    assert said(capsys, "check", recipe("mine.py", other), code=2) == f"error: mine.toml:6: 'scale' of trick 'other' {why}\n{hint}"
    unknown = tricks.replace("scale", "spin")
    assert "trick 'mine' has no option 'spin'; choices: enabled, name, steps" in said(capsys, "check", recipe("mine.py", unknown), code=2)


# -- options ---------------------------------------------------------------------------------------------------------------


@dataclass
class Untyped:
    """Its list is unlike any other."""

    enabled: bool = True


def unknown_annotation(*, width: NoSuchType = 3) -> None:  # type: ignore[name-defined]  # noqa: F821
    """An annotation that cannot be read."""


@pytest.mark.parametrize(
    ("factory", "text"),
    [
        (Untyped, ": an option may not be called 'enabled', which is a key of ganlab's own\nrename it"),
        (unknown_annotation, ": its annotations cannot be read: name 'NoSuchType' is not defined"),
    ],
)
def test_options_that_cannot_be_described_are_refused(factory: Callable[..., Any], text: str) -> None:
    with pytest.raises(PluginError) as caught:
        Catalogue().add(Plugin(tricks={"mine": factory}), "second", "second-dist 2.0")
    assert str(caught.value) == f"trick 'mine' of plugin 'second' (second-dist 2.0){text}"


# -- tricks: refused when the run is built ---------------------------------------------------------------------------------

RUN_HOOKS = (
    "after_build, after_checkpoint, after_epoch, after_run, after_scores, after_step, after_turn, after_update, before_build, before_run, "
    "before_scores, before_turn, before_update, deliver, loss_terms, may_play, on_failure, on_images, on_metrics, plan_step, play_again, "
    "sync"
).replace("after_turn, ", "")
#: A trick's method with a mistake in it, and what is said of it.
METHODS = {
    "unknown": (
        "def after_stpe(self): pass",
        f" implements an unknown hook 'after_stpe'\nhint: did you mean 'after_step'? (choices: {RUN_HOOKS})",
    ),
    "hook_of_a_plugin": (
        "def register_losses(self): pass",
        " implements an unknown hook 'register_losses'\nhint: register_losses is a hook of plugins: make it a function of the module",
    ),
    "parameter": (
        "def after_step(self, stpe): pass",
        ": hook after_step has no parameter 'stpe'\nhint: did you mean 'step'? (choices: run, step)",
    ),
    "default": (
        "def after_step(self, step=3): pass",
        ": hook after_step has a default value for 'step'\nhint: remove it: the engine passes every parameter",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", METHODS)
def test_a_trick_with_a_wrong_hook(mistake: str, capsys: pytest.CaptureFixture[str]) -> None:
    method, text = METHODS[mistake]
    file = install("sick-gan", "sick", f"import ganlab\n\n\nclass Mine:\n    @ganlab.hookimpl\n    {method}\n{REGISTER}")
    assert file.is_file()
    use = ["--set", "tricks.mine.use=mine"]
    assert said(capsys, "run", "ring", *TINY_RUN, *use, code=1) == f"error: trick 'mine' (plugin sick, sick-gan 1.0){text}\n"
    assert list(Path("runs").iterdir()) == []
    runs_none_the_worse(capsys)


def refused(*tricks: object) -> str:
    with pytest.raises(PluginError) as caught:
        prepare(*tricks)
    return str(caught.value)


def test_a_wrapper_is_refused() -> None:
    class Wrapper:
        @ganlab.hookimpl(wrapper=True)
        def after_step(self, step: int) -> Any:
            return (yield)

    expected = "Wrapper: hook after_step is a wrapper, which ganlab does not allow\nremove `wrapper=True`, and assign to `turn`"
    assert refused(Wrapper()) == expected


@pytest.mark.parametrize("option", ["tryfirst", "trylast"])
def test_jumping_the_queue_is_refused(option: str) -> None:
    class Pushy:
        @ganlab.hookimpl(**{option: True})
        def after_step(self, step: int) -> None: ...

    assert refused(Pushy()) == (
        "Pushy: hook after_step asks to be called first or last, which ganlab does not allow\n"
        "remove `tryfirst` or `trylast`: the recipe's order is the order of calls"
    )


def test_a_trick_without_hooks_is_refused() -> None:
    expected = "object has no hooks\nmark its methods with @ganlab.hookimpl; the hooks are in ganlab/hookspecs.py"
    assert refused(object()) == expected


def test_a_hook_that_is_not_marked_is_refused() -> None:
    class Forgot:
        def after_step(self, step: int) -> None: ...

    assert refused(Forgot()) == "Forgot has a method after_step that is not marked as a hook\nmark it with @ganlab.hookimpl"


# -- tricks: named when they raise -----------------------------------------------------------------------------------------


def test_a_hook_that_raises(capsys: pytest.CaptureFixture[str]) -> None:
    file = install("sick-gan", "sick", TRICK.replace("        pass\n", "        step / 0\n"))
    use = ["--set", "tricks.mine.use=mine"]
    text = said(capsys, "run", "ring", *TINY_RUN, *use, code=1)
    (run,) = Path("runs").iterdir()
    assert text == (
        "error: trick 'mine' (plugin sick, sick-gan 1.0), in its hook after_step in step 1, raised ZeroDivisionError: division by zero\n"
        f'hint: Traceback (of the plugin\'s own code):\n  File "{file}", line 7, in after_step\n    step / 0\n    ~~~~~^~~\n'
        "ZeroDivisionError: division by zero\n"
        f"The run's last checkpoint is step_000000001.safetensors; to resume from it: ganlab resume {run.name}\n"
        f"To resume without the trick: ganlab resume {run.name} --changed --set tricks.mine.enabled=false\n"
    )
    runs_none_the_worse(capsys)


def test_a_trick_that_raises_is_named_with_its_own_traceback() -> None:
    class Broken:
        @ganlab.hookimpl
        def before_update(self, turn: ganlab.Turn) -> None:
            self.helper(turn.step)

        def helper(self, step: int) -> None:
            if step == 3:
                raise KeyError("lost")

    broken = ['tricks.mine={use="broken"}']
    with pytest.raises(PluginError) as caught:
        play(overrides=broken, plugins=[Plugin(tricks={"broken": Broken})])
    message, hint = caught.value.message, caught.value.hint
    assert message == "trick 'broken' named 'mine' (plugin plugin0, the test), in its hook before_update in step 3, raised KeyError: 'lost'"
    frames = hint.splitlines()
    assert frames[0] == "Traceback (of the plugin's own code):"
    assert frames[-1] == "KeyError: 'lost'"
    assert "in before_update" in frames[1]
    assert "in helper" in hint
    assert "ganlab/game" not in hint
    assert "pluggy" not in hint
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_object_without_hooks_is_no_plugin() -> None:
    with pytest.raises(PluginError, match=r"plugin 'second' \(the script\) registers nothing"):
        Catalogue().add(SimpleNamespace(), "second", "the script")
    assert hooked(after_step=lambda: None)
