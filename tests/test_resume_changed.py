"""How a run goes on when not all is as it was: a longer budget, another recipe, other plugin files, a stranger's folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from pathlib import Path
from typing import Any, Literal

import pytest
import tomli_w
import torch
from engine_support import ADAM, RICH, lines, same, trick, weights

import ganlab
from ganlab.errors import GanlabError, UsageError
from ganlab.recipe import PluginFile
from ganlab.records import trust
from ganlab.records.folder import RunFolder
from ganlab.records.request import RunRequest
from ganlab.records.summaries import find_run
from ganlab.registry.catalogue import Catalogue
from ganlab.runs.resume import resume_run
from ganlab.runs.run import Run
from ganlab.runs.start import open_run
from ganlab.runs.sync import sync_run
from ganlab.runs.training import execute
from ganlab.runs.workspace import Workspace
from ganlab.storage.checkpoint import load
from ganlab.testing import catalogue, play

RECIPE = """
extends = "ring"
plugins = ["code/mine.py"]
[data]
samples = 400
[[tricks]]
use = "mine"
[train]
steps = 6
batch_size = 16
checkpoint_every = 2
log_every = 2
sample_every = 6
[tracking]
enabled = false
"""
MINE = """
import ganlab

class Mine:
    '''Counts.'''
    count = 0
    @ganlab.hookimpl
    def after_step(self, run):
        self.count += 1
        run.record("mine/count", float(self.count))
        if run.step == STOP:
            run.stop()
    def state_dict(self):
        return {"count": self.count}
    def load_state_dict(self, state):
        self.count = state["count"]

@ganlab.hookimpl
def register_tricks(register):
    register("mine", Mine)
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, and an account that has made nothing yet."""
    monkeypatch.setenv("GANLAB_STATE", str(tmp_path / "state"))
    (tmp_path / "here/code").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def stopped(home: Path) -> Path:
    """A run with a plugin file, stopped at step 3 of 6."""
    (home / "code/mine.py").write_text(MINE.replace("STOP", "3"))
    (home / "mine.toml").write_text(RECIPE)
    run, _ = begin("mine.toml")
    assert execute(run) == "interrupted"
    return run.path


def begin(recipe: str, *overrides: str) -> tuple[Run, list[PluginFile]]:
    """A new run, and the plugin files that it told of."""
    told: list[PluginFile] = []
    return open_run(recipe, Catalogue.of_installed(told.append), list(overrides), Workspace(tell=lambda text: None)), told


def again(path: Path, *overrides: str, changed: bool = False, trust: bool = False) -> tuple[Run, list[PluginFile]]:
    """The run, reopened, and the plugin files that it told of."""
    told: list[PluginFile] = []
    workspace = Workspace(path.parent, tell=lambda text: None)
    found = catalogue()
    found.on_file = told.append
    return resume_run(find_run(path.parent, path.name), found, workspace, RunRequest(overrides, changed, trust)), told


def refused(path: Path, *overrides: str, **how: bool) -> str:
    """Why the run cannot be reopened; nothing of it, nor of what it has run, is other than before."""
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    with pytest.raises(UsageError) as caught:
        again(path, *overrides, **how)
    assert {file: file.read_bytes() for file in path.rglob("*") if file.is_file()} == before
    return str(caught.value)


def info_of(path: Path) -> dict[str, Any]:
    """The content of run.json."""
    found: dict[str, Any] = json.loads((path / "run.json").read_text())
    return found


def digest(path: Path) -> str:
    """Of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- a longer budget, and other keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [(), RICH], ids=["plain", "rich"])
def test_a_longer_budget_ends_as_if_it_had_been_that_long_from_the_start(tmp_path: Path, extra: tuple[str, ...]) -> None:
    fixed = [*extra, "train.log_every=2", "train.sample_every=2", "train.checkpoint_every=2"]
    path = play(steps=4, overrides=fixed, folder=tmp_path / "short").path
    assert info_of(path)["status"] == "finished"
    run, _ = again(path, "train.steps=10")
    assert run.info["announcements"][-1:] == ["The budget is now 10 steps (it was 4)."]
    assert "recipe" not in run.info["resumed"][-1]
    assert execute(run) == "finished"
    never = play(steps=10, overrides=fixed, folder=tmp_path / "long")
    assert same(weights(never), weights(run))
    assert lines(never) == lines(run)
    assert tomllib.loads((path / "recipe.toml").read_text())["train"]["steps"] == 10
    assert tomllib.loads((path / "recipe.before_step_000000005.toml").read_text())["train"]["steps"] == 4


def test_what_depends_on_the_budget_is_said(tmp_path: Path) -> None:
    path = play(steps=100, overrides=[trick("health")], folder=tmp_path).path
    run, _ = again(path, "train.steps=4000")
    assert run.info["announcements"][-1] == (
        "The budget is now 4,000 steps (it was 100). This also changes: sheets are 100 steps apart (were 2); "
        "checkpoints are 100 steps apart (were 8)."
    )


def test_a_budget_that_is_spent_is_refused(stopped: Path) -> None:
    assert refused(stopped, "train.steps=2") == (
        f"run {stopped.name} has already trained 3 steps, and its budget would be 2\nset a larger budget, for example `--set train.steps=6`"
    )
    run, _ = again(stopped)
    execute(run)
    assert refused(stopped).startswith(
        f"run {stopped.name} is finished\nto train it longer: `ganlab resume {stopped} --set train.steps=12`"
    )
    assert refused(stopped, "train.steps=6") == refused(stopped)


def test_other_keys_need_the_flag_and_then_count(tmp_path: Path) -> None:
    path = play(steps=4, overrides=[f"generator.optimizer={ADAM}", "train.checkpoint_every=2"], folder=tmp_path).path
    asked = ("train.steps=8", "generator.optimizer.lr=0.5", "generator.optimizer.betas=[0.1, 0.2]")
    assert refused(path, *asked) == (
        f"run {path.name} would be resumed with another recipe than it was trained with up to step_000000004: "
        "generator.optimizer.lr = 0.5 (was 0.01); generator.optimizer.betas = [0.1, 0.2] (was [0.9, 0.999]); train.steps = 8 (was 4)\n"
        f"if that is what you want: `ganlab resume {path} --changed "
        "--set train.steps=8 --set generator.optimizer.lr=0.5 --set 'generator.optimizer.betas=[0.1, 0.2]'`"
    )
    run, _ = again(path, *asked, changed=True)
    (group,) = run.players["generator"].optimizer.param_groups
    assert (group["lr"], tuple(group["betas"])) == (0.5, (0.1, 0.2))
    (group,) = run.players["discriminator"].optimizer.param_groups
    assert group["lr"] == 0.1
    assert run.players["generator"].optimizer.state  # its averages are still there
    resumed = info_of(path)["resumed"][-1]
    assert resumed["step"] == 4
    assert resumed["recipe"] == [
        "generator.optimizer.lr = 0.5 (was 0.01)", "generator.optimizer.betas = [0.1, 0.2] (was [0.9, 0.999])"
    ]  # fmt: skip
    run.folder.unlock()  # type: ignore[union-attr]
    run, _ = again(path)  # a second time there is nothing to ask: the checkpoint knows the recipe
    (group,) = run.players["generator"].optimizer.param_groups
    assert group["lr"] == 0.5


def test_how_samples_are_measured_makes_no_other_recipe(tmp_path: Path) -> None:
    path = play(steps=4, folder=tmp_path).path
    run, _ = again(path, "train.steps=8", "evaluation.samples=300", changed=True)
    assert "evaluation.samples = 300" in run.info["announcements"][0]
    assert "recipe" not in run.info["resumed"][-1]


def test_another_optimizer_begins_anew(tmp_path: Path) -> None:
    path = play(steps=4, overrides=[f"generator.optimizer={ADAM}"], folder=tmp_path).path
    run, _ = again(path, 'generator.optimizer={use="sgd",lr=0.1}', "train.steps=6", changed=True)
    assert type(run.players["generator"].optimizer).__name__ == "SGD"
    assert execute(run) == "finished"


class Renamed:
    """A plugin whose optimizer calls its options otherwise than torch."""

    @ganlab.hookimpl
    def register_optimizers(self, register: Any) -> None:
        def mine(parameters: Any, *, rate: float = 0.1, beta: float = 0.5) -> torch.optim.Optimizer:
            return torch.optim.Adam(parameters, lr=rate, betas=(beta, 0.999))

        register("mine", mine)


def test_options_of_an_optimizer_count_by_what_they_do(tmp_path: Path) -> None:
    path = play(steps=4, overrides=['generator.optimizer={use="mine"}'], plugins=[Renamed()], folder=tmp_path).path
    found = catalogue()
    found.add(Renamed(), "renamed", "the test")
    request = RunRequest(("train.steps=6", "generator.optimizer.rate=0.4"), changed=True)
    run = resume_run(find_run(path.parent, path.name), found, Workspace(path.parent, tell=lambda text: None), request)
    (group,) = run.players["generator"].optimizer.param_groups
    assert (group["lr"], group["betas"]) == (0.4, (0.5, 0.999))
    assert run.players["generator"].optimizer.state


def test_an_optimizer_that_needs_other_averages_begins_anew(tmp_path: Path) -> None:
    path = play(steps=4, overrides=[f"generator.optimizer={ADAM}"], folder=tmp_path).path
    run, _ = again(path, "train.steps=8", "generator.optimizer.amsgrad=true", changed=True)
    assert (
        run.info["announcements"][0]
        == "The generator's optimizer starts from its initial state: with its new options it needs other averages than it had."
    )
    assert execute(run) == "finished"


def test_the_order_of_tricks_is_noticed_beside_another_change(tmp_path: Path) -> None:
    path = play(steps=4, overrides=[trick("clamp"), trick("gradient_clipping")], folder=tmp_path).path
    recipe = path / "recipe.toml"
    document = tomllib.loads(recipe.read_text())
    document["tricks"].reverse()
    recipe.write_text(tomli_w.dumps(document))
    assert "the order of the tricks" in refused(path, "train.steps=8")


def test_another_best_metric_begins_anew(tmp_path: Path) -> None:
    path = play(steps=4, overrides=["train.keep_best=loss/generator", "train.checkpoint_every=2"], folder=tmp_path).path
    run, _ = again(path, "train.steps=8", "train.keep_best=loss/discriminator", changed=True)
    assert run.checkpointing.best.value is None


def test_networks_of_another_run_are_for_a_new_one(stopped: Path) -> None:
    assert refused(stopped, "train.init_from=elsewhere").startswith("train.init_from starts a new run from the networks of another; ")


def test_other_data_are_another_run(stopped: Path) -> None:
    assert refused(stopped, "data.samples=500", changed=True).startswith(
        f"run {stopped.name} cannot be resumed with other data\nto start a new run: "
    )


def test_tricks_are_switched_off_and_added(stopped: Path) -> None:
    run, _ = again(stopped, "tricks.mine.enabled=false", "tricks.weight_average.use=clamp", changed=True)
    assert [choice.name for choice in run.recipe.tricks if choice.name in ("mine", "weight_average")] == ["weight_average"]
    assert execute(run) == "finished"
    run, _ = again(stopped, "train.steps=8", "tricks.mine.enabled=true", changed=True)
    assert execute(run) == "finished"


@pytest.mark.parametrize("key", ["train.batch_size", "train.discriminator_batch_size"])
def test_other_batches_are_refused_with_any_flag(stopped: Path, key: str) -> None:
    was = "(was 16)" if key == "train.batch_size" else "(was not there)"
    assert refused(stopped, f"{key}=8", changed=True) == (
        f"run {stopped.name} cannot be resumed with other batches, because its counters depend on them: {key} = 8 {was}\n"
        f"to start a new run with its networks: `ganlab run {stopped}/recipe.toml --set train.init_from={stopped}`"
    )


# -- plugin files ----------------------------------------------------------------------------------------------------------


def test_a_plugin_file_is_named_with_its_digest_and_kept(home: Path) -> None:
    (home / "code/mine.py").write_text(MINE.replace("STOP", "3"))
    (home / "mine.toml").write_text(RECIPE)
    run, told = begin("mine.toml")
    original, copy = home / "code/mine.py", run.path / "plugins/mine.py"
    assert [(file.path, file.sha256) for file in told] == [(original, digest(original))]
    assert copy.read_bytes() == original.read_bytes()
    assert info_of(run.path)["plugins"] == [{"name": "mine.py", "from": str(original), "sha256": digest(original)}]
    assert tomllib.loads((run.path / "recipe.toml").read_text())["plugins"] == ["plugins/mine.py"]
    shutil.rmtree(home / "code")
    _, told = begin(str(run.path / "recipe.toml"))  # the folder alone reproduces the run
    assert [file.path for file in told] == [copy.resolve()]


def test_compiled_files_beside_it_are_not_run(home: Path, stopped: Path) -> None:
    import py_compile

    evil = home / "evil.py"
    evil.write_text("raise SystemExit('compiled code was run')")
    source = home / "code/mine.py"
    compiled = Path(py_compile.compile(str(evil), cfile=str(home / "code/__pycache__/mine.cpython-311.pyc")))  # type: ignore[arg-type]
    stat, content = source.stat(), bytearray(compiled.read_bytes())
    content[8:16] = int(stat.st_mtime).to_bytes(4, "little") + stat.st_size.to_bytes(4, "little")
    compiled.write_bytes(content)
    begin("mine.toml")


def test_a_run_goes_on_with_its_plugin_file(stopped: Path) -> None:
    run, told = again(stopped)
    assert [file.sha256 for file in told] == [info_of(stopped)["plugins"][0]["sha256"]]
    assert execute(run) == "finished"
    assert info_of(stopped)["announcements"] == []
    assert load(stopped / "checkpoints/step_000000006.safetensors")["tricks"]["mine"] == {"count": 6}


def test_a_plugin_file_that_changed_is_refused_until_the_author_says_which(home: Path, stopped: Path) -> None:
    original, was = home / "code/mine.py", digest(home / "code/mine.py")
    original.write_text(MINE.replace("STOP", "5"))
    assert refused(stopped) == (
        f"plugin file {original} is not what run {stopped.name} was made with: its sha256 is {digest(original)}, and was {was}\n"
        f"to use the file as it is now: `ganlab resume {stopped} --changed`\n"
        f"or the run's own copy of the earlier version: `ganlab resume {stopped} --trust`"
    )
    run, told = again(stopped, trust=True)
    assert [file.sha256 for file in told] == [was]
    run.folder.unlock()  # type: ignore[union-attr]
    run, told = again(stopped, changed=True)
    assert [file.sha256 for file in told] == [digest(original)]
    said = f"From step 3 on this run uses a changed recipe: plugin file mine.py has sha256 {digest(original)[:8]} (was {was[:8]})."
    assert run.info["announcements"] == [said]
    assert execute(run) == "interrupted"  # at step 5: it is the new one
    assert run.step == 5
    assert digest(stopped / "plugins/mine.py") == digest(original)
    assert digest(stopped / f"plugins/mine.py.{was[:8]}") == was
    assert execute(again(stopped)[0]) == "finished"


def test_a_new_file_that_is_wrong_changes_nothing(home: Path, stopped: Path) -> None:
    (home / "code/mine.py").write_text("this is no Python")
    before = info_of(stopped)
    with pytest.raises(GanlabError, match="cannot be loaded: SyntaxError"):
        again(stopped, changed=True)
    assert info_of(stopped) == before
    assert "class Mine" in (stopped / "plugins/mine.py").read_text()


def test_a_plugin_file_that_is_gone_is_asked_for(home: Path, stopped: Path) -> None:
    (home / "code/mine.py").unlink()
    assert refused(stopped) == (
        f"plugin file {home / 'code/mine.py'} is gone; the only copy left is in run {stopped.name}\n"
        f"put it back; or run the copy, {stopped / 'plugins/mine.py'}: `ganlab resume {stopped} --trust`"
    )
    (stopped / "plugins/mine.py").write_text("print('something else')")
    assert "is not the plugin file that run" in refused(stopped, trust=True)
    (stopped / "plugins/mine.py").write_text(MINE.replace("STOP", "3"))
    assert execute(again(stopped, trust=True)[0]) == "finished"


def test_a_damaged_copy_is_mended_from_the_original(home: Path, stopped: Path) -> None:
    (stopped / "plugins/mine.py").unlink()
    again(stopped)[0].folder.unlock()  # type: ignore[union-attr]
    assert digest(stopped / "plugins/mine.py") == digest(home / "code/mine.py")
    (stopped / "plugins/mine.py").write_text("somebody's work")
    again(stopped)
    assert digest(stopped / "plugins/mine.py") == digest(home / "code/mine.py")
    (aside,) = (stopped / "plugins").glob("mine.py.*")
    assert aside.read_text() == "somebody's work"


# -- a stranger's folder ---------------------------------------------------------------------------------------------------


def become_a_stranger(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """From here on another account is at work."""
    monkeypatch.setenv("GANLAB_STATE", str(home.parent / "another account"))


def test_a_strangers_code_is_not_run(home: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become_a_stranger(monkeypatch, home)
    trap = f"open({str(home / 'trapped')!r}, 'w').close()\n"
    was = digest(stopped / "plugins/mine.py")
    assert refused(stopped) == (
        f"run {stopped.name} was not made by this account, or its recipe has been edited since, and `ganlab resume` would reach beyond its "
        f"folder: it runs the plugin file plugins/mine.py (sha256 {was})\n"
        f"check these; if you trust its author: `ganlab resume {stopped} --trust`"
    )
    (stopped / "plugins/mine.py").write_text(trap + MINE.replace("STOP", "3"))
    assert digest(stopped / "plugins/mine.py") in refused(stopped)
    assert "is not the plugin file that run" in refused(stopped, trust=True)
    assert not (home / "trapped").exists()
    (stopped / "plugins/mine.py").write_text(MINE.replace("STOP", "3"))
    assert execute(again(stopped, trust=True)[0]) == "finished"
    again(stopped, "train.steps=8", trust=True)


def test_what_was_trusted_once_is_the_accounts_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = begin("ring", "data.samples=400", "train.steps=4", "tracking.uri=http://127.0.0.1:9", "tricks.mlflow.use=health")
    path = run.path
    run.checkpointing.save()
    run.folder.unlock()  # type: ignore[union-attr]
    again(path)[0].folder.unlock()  # type: ignore[union-attr]
    become_a_stranger(monkeypatch, home)
    assert 'its recipe says tracking.uri = "http://127.0.0.1:9"' in refused(path)
    again(path, "tracking.enabled=false", changed=True)[0].folder.unlock()  # type: ignore[union-attr]
    again(path)


def test_a_strangers_paths_are_not_followed(home: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become_a_stranger(monkeypatch, home)
    recipe = stopped / "recipe.toml"
    text = recipe.read_text().replace('plugins = [\n    "plugins/mine.py",\n]\n', "")
    assert "plugins" not in text
    recipe.write_text('extends = "/dev/zero"\n' + text)
    assert "its recipe extends /dev/zero" in refused(stopped)
    recipe.write_text(text)
    target = home / "precious"
    target.write_text("")
    (stopped / "metrics.jsonl").unlink()
    (stopped / "metrics.jsonl").symlink_to(target)
    assert f"its metrics.jsonl is a link to {target}" in refused(stopped)
    assert target.read_text() == ""


def test_a_recipe_that_was_edited_by_hand_counts_as_a_strangers_where_it_leads_outside(stopped: Path) -> None:
    recipe = stopped / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("steps = 6", "steps = 7"))
    assert "it runs the plugin file plugins/mine.py" in refused(stopped)
    assert again(stopped, trust=True)[0].total_steps == 7


@pytest.mark.parametrize("plugins", [[1], [{"name": "x"}], [{"name": 1, "from": 2, "sha256": 3}]])
def test_a_made_up_list_of_plugin_files(stopped: Path, plugins: list[Any]) -> None:
    (stopped / "run.json").write_text(json.dumps(info_of(stopped) | {"plugins": plugins}))
    assert refused(stopped) == f"{stopped / 'run.json'} is damaged: its plugins is {plugins!r}"


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root may write everywhere")
def test_without_a_place_for_the_key_nothing_is_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shut").mkdir(mode=0o500)
    monkeypatch.setenv("GANLAB_STATE", str(tmp_path / "shut/state"))
    assert begin("ring", "data.samples=400")[0].info["signature"] is None


def test_the_key_is_made_once_and_is_the_accounts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_STATE", str(tmp_path / "new"))
    (tmp_path / "recipe.toml").write_text("")
    signatures = {trust.sign(RunFolder(tmp_path), []) for _ in range(3)}
    assert len(signatures) == 1 and signatures != {None}
    assert (tmp_path / "new/key").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [".key.lock", "key"]
    monkeypatch.setenv("GANLAB_STATE", "/dev/null/state")
    assert trust.sign(RunFolder(tmp_path), []) is None


def test_files_that_only_run_json_lists_are_not_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = begin("ring", "data.samples=400", "train.steps=4", "tracking.enabled=false")
    execute(run)
    path = run.path
    (path / "plugins").mkdir()
    (path / "plugins/trap.py").write_text(f"open({str(home / 'trapped')!r}, 'w').close()\n" + MINE)
    (path / "run.json").write_text(json.dumps(info_of(path) | {"plugins": [{"name": "trap.py", "from": "/nowhere", "sha256": "0"}]}))
    become_a_stranger(monkeypatch, home)
    for changed in (False, True):
        assert "it runs the plugin file plugins/trap.py" in refused(path, "train.steps=6", changed=changed)
    again(path, "train.steps=6", trust=True)  # the recipe lists no file, so none is run
    assert not (home / "trapped").exists()


def test_links_make_a_run_a_strangers(home: Path, stopped: Path) -> None:
    (home / "victim").write_text("precious")
    (stopped / ".losses.png.part").symlink_to(home / "victim")
    assert f"its .losses.png.part is a link to {home / 'victim'}" in refused(stopped)
    (stopped / ".losses.png.part").unlink()
    os.mkfifo(stopped / "pipe")
    assert "its pipe is neither a file nor a folder" in refused(stopped)


def test_words_of_a_stranger_do_nothing_to_the_terminal(home: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become_a_stranger(monkeypatch, home)
    recipe = stopped / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('"plugins/mine.py"', '"a\\u001b[8m\\nhint: nothing"'))
    assert "\x1b" not in refused(stopped)
    assert "\nhint" not in refused(stopped)


@pytest.mark.parametrize(
    ("annotation", "harmless"),
    [(int, True), (float | None, True), (Literal["a", "b"], True), (tuple[int, ...], True), (list[tuple[float, bool]], True)]
    + [(kind, False) for kind in (str, Path, bytes, dict, list, object, Any, list[str], dict[str, int], int | str, RunFolder)],
)  # fmt: skip
def test_what_may_lead_anywhere(annotation: Any, harmless: bool) -> None:
    assert trust.is_harmless(annotation) is harmless


# -- sync ------------------------------------------------------------------------------------------------------------------


def sync(path: Path, *overrides: str, trust: bool = False) -> list[str]:
    """What `ganlab sync` says."""
    told: list[str] = []
    sync_run(find_run(path.parent, path.name), catalogue(), RunRequest(overrides, trust=trust), told.append)
    return told


def test_a_run_that_nothing_was_to_send_is_sent_when_asked_to(home: Path, stopped: Path, empty_store: Path, forked_mirrors: None) -> None:
    shutil.copyfile(empty_store, home / "mlflow.db")
    with pytest.raises(UsageError) as caught:
        sync(stopped)
    assert str(caught.value) == (
        f"no trick of run {stopped.name} sends it anywhere: its recipe says `[tracking] enabled = false`\n"
        f"to send it: `ganlab sync {stopped} --set tracking.enabled=true`"
    )
    (home / "code/mine.py").unlink()  # the run's own copy will do
    (told,) = sync(stopped, "tracking.enabled=true")
    assert told == f"{stopped} is in MLflow at sqlite:///{home / 'mlflow.db'}, experiment 'ganlab'"


def test_a_strangers_run_is_not_sent_where_it_says(home: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become_a_stranger(monkeypatch, home)
    with pytest.raises(UsageError, match=r"and `ganlab sync` would reach beyond its folder: it runs the plugin file plugins/mine.py"):
        sync(stopped, "tracking.enabled=true")
