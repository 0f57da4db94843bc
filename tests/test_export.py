"""``ganlab export``: every shipped recipe's generator, in every format, gives the same images; what does not is not left behind."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sample_support import RING, ganlab_says, made, own_network
from torch import Tensor, nn

import ganlab
from ganlab.components import NetworkSpec
from ganlab.errors import GanlabError, UsageError
from ganlab.generators import formats
from ganlab.generators.exported_folder import CONFIG
from ganlab.generators.formats import Format, export_generator
from ganlab.generators.loaded import LoadedGenerator
from ganlab.generators.sampling import SampleFunction
from ganlab.generators.verification import verify_samples
from ganlab.recipe import load_recipe, shipped_recipes
from ganlab.registry.catalogue import Catalogue
from ganlab.script import FinishedRun
from ganlab.testing import catalogue
from ganlab_networks import fused, products

Capture = pytest.CaptureFixture[str]
LIBRARY = catalogue()
KINDS = {"safetensors": "folder", "onnx": "x.onnx", "torch": "x.pt2"}
onnx = pytest.mark.skipif(not all(map(importlib.util.find_spec, formats.EXTRAS)), reason="needs the extra 'export'")
EACH = [pytest.param(kind, marks=onnx if kind == "onnx" else ()) for kind in KINDS]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return made(tmp_path_factory.mktemp("ring"), "ring", RING)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wrapped(network: nn.Module, latent: int = 4, **info: Any) -> LoadedGenerator:
    """A generator of any network, with normal noise of so many dimensions."""
    law = LIBRARY.find("noise", "normal")
    assert law is not None
    spec = {"role": "generator", "input_shape": (latent,), "output_shape": (2,), "classes": 8}
    about = {"use": "mine", "options": {}, "spec": spec, "range": None, "step": 3, "recipe": "mine", "class_names": [], "drawn_as": "data"}
    about |= {"law": {"use": "normal", "options": {"dimension": latent}}} | info
    return LoadedGenerator(network, law.factory(dimension=latent), about).eval()


def of_recipe(name: str) -> LoadedGenerator:
    """The untrained generator of a shipped recipe; running statistics as training would leave them, not 0 and 1."""
    recipe = load_recipe(name, LIBRARY, [])
    choice, law = recipe.generator.network, recipe.sampling_law
    noise = law.entry.factory(**law.options)
    shape = (2,) if name == "ring" else (1, 28, 28)
    torch.manual_seed(0)
    spec = NetworkSpec("generator", tuple(noise.shape), shape, 10)
    network = choice.entry.factory(spec, **choice.options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    about = {"input_shape": spec.input_shape, "output_shape": shape, "classes": 10, "role": "generator"}
    info = {"use": choice.use, "options": choice.options, "spec": about, "law": {"use": law.use, "options": law.options}}
    generator = wrapped(network, range=(-1.0, 1.0), **info)
    generator.noise = noise
    return generator


@pytest.mark.parametrize("recipe", sorted(shipped_recipes()))
@pytest.mark.parametrize("kind", EACH)
def test_every_shipped_recipes_generator(kind: str, recipe: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "for_float32", lambda: products.TORCH)  # a program of torch's has torch's products
    generator = of_recipe(recipe)
    files, verification = export_generator(generator, kind, here / "made" / KINDS[kind], LIBRARY)
    assert verification.difference <= verification.tolerance <= 1e-4
    assert verification.difference == 0 or kind == "onnx"
    assert verification.batches == (1, 2, 7, 64)
    assert all(file.is_file() for file in files)
    assert [path.name for path in here.iterdir()] == ["made"]


@onnx
def test_an_onnx_file_alone_gives_the_samples(ring: FinishedRun, capsys: Capture) -> None:
    import onnxruntime

    code, out, err = ganlab_says(capsys, "export", ring.path, "--out", "ring.onnx")
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith(f"generator of {ring.id}, step 20: ring.onnx (")
    assert re.fullmatch(
        r"checked: reloaded, its samples of fixed latents (differ by at most \S+ \(accepted: \S+\)|are the same, bit for bit), "
        "in batches of 1, 2, 7, 64",
        second,
    )
    session = onnxruntime.InferenceSession("ring.onnx", providers=["CPUExecutionProvider"])
    latent = ring.generator.noise.sample(33, torch.Generator().manual_seed(8), torch.device("cpu"), torch.float32)
    (samples,) = session.run(None, {"latent": latent.numpy()})
    np.testing.assert_allclose(samples, ring.generator(latent).detach().numpy(), atol=1e-5)
    told = json.loads(session.get_modelmeta().custom_metadata_map["ganlab"])
    assert (told["recipe"], told["step"], told["noise"]["use"]) == ("ring", 20, "normal")
    assert b".py" not in Path("ring.onnx").read_bytes()  # nor a path of the machine that it was made on


def test_a_torch_program_alone_gives_the_samples(ring: FinishedRun, capsys: Capture) -> None:
    assert ganlab_says(capsys, "export", ring.path, "--format", "torch")[0] == 0
    files = {CONFIG: ""}
    program = torch.export.load(f"{ring.id}.pt2", extra_files=files)
    latent = torch.randn(5, *ring.generator.noise.shape)
    assert torch.equal(program.module()(latent), ring.generator(latent))
    assert json.loads(files[CONFIG])["recipe"] == "ring"
    assert b"mlp.py" not in Path(f"{ring.id}.pt2").read_bytes()


def test_a_safetensors_folder_rebuilds_the_generator(ring: FinishedRun, capsys: Capture) -> None:
    code, out, err = ganlab_says(capsys, "export", ring.path)
    assert (code, err) == (0, "")
    assert out.endswith("checked: reloaded, its samples of fixed latents are the same, bit for bit, in batches of 1, 2, 7, 64\n")
    folder = Path(f"{ring.id}-generator")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "generator.safetensors"]
    again = ganlab.load_generator(folder)
    assert torch.equal(again.sample(9, seed=4), ring.samples(9, seed=4))
    assert again.info == ring.generator.info | {"spec": again.info["spec"], "range": again.info["range"]}
    config = json.loads((folder / "config.json").read_text())
    assert config["layers"] == str(ring.generator.network).splitlines()
    assert load_file(folder / "generator.safetensors").keys() == ring.generator.network.state_dict().keys()
    assert (folder / "generator.safetensors").stat().st_mode & 0o777 == (folder / "config.json").stat().st_mode & 0o777
    twice = ganlab_says(capsys, "export", ring.path, "--out", "second")
    assert twice[0] == 0
    assert all((Path("second") / path.name).read_bytes() == path.read_bytes() for path in folder.iterdir())


def test_a_damaged_folder_is_one_message(ring: FinishedRun, here: Path) -> None:
    folder = here / "out"
    assert ring.export(out=folder) == [folder / "config.json", folder / "generator.safetensors"]
    weights, config = folder / "generator.safetensors", folder / "config.json"
    whole, said = weights.read_bytes(), config.read_text()
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    with pytest.raises(GanlabError, match=r"does not match the checksum in config\.json"):
        ganlab.load_generator(folder)
    weights.write_bytes(whole[:50])
    with pytest.raises(GanlabError, match="cannot be read"):
        ganlab.load_generator(folder)
    weights.write_bytes(whole)
    for broken in ("[]", "{}", "no", '{"format": 3}', said.replace('"noise"', '"nois"'), said.replace('"mlp"', '"mlpp"')):
        config.write_text(broken)
        with pytest.raises(GanlabError):
            ganlab.load_generator(folder)
    config.write_text(said)
    ganlab.load_generator(folder)


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return own_network(tmp_path_factory.mktemp("conditional") / "own", "conditional")


@pytest.mark.parametrize("kind", EACH)
def test_a_conditional_generator_of_a_plugin_file(kind: str, conditional: FinishedRun, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / KINDS[kind]
    code, said, err = ganlab_says(capsys, "export", conditional.path, "--format", kind, "--out", out)
    assert (code, said.count("checked: ")) == (0, 1), err
    latent, labels = torch.randn(3, 64), torch.tensor([4, 4, 1])
    wanted = FinishedRun(conditional.path).generator(latent, labels).detach()
    if kind == "torch":
        torch.testing.assert_close(torch.export.load(out).module()(latent, labels).detach(), wanted)
    elif kind == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        (samples,) = session.run(None, {"latent": latent.numpy(), "labels": labels.numpy()})
        np.testing.assert_allclose(samples, wanted.numpy(), atol=1e-5)
    else:
        with pytest.raises(GanlabError, match="needs the network 'conditional', which no installed plugin brings"):
            ganlab.load_generator(out)


class Drawing(nn.Linear):
    def forward(self, latent: Tensor) -> Tensor:
        return super().forward(latent) + torch.randn(len(latent), 2)


class OfTheBatch(nn.Linear):
    def forward(self, latent: Tensor) -> Tensor:
        made = super().forward(latent)
        return made if float(made.sum()) > 0 else -made


class OfOneSize(nn.Linear):
    def forward(self, latent: Tensor) -> Tensor:
        return super().forward(latent) * (2.0 if len(latent) == 2 else 1.0)


@pytest.mark.parametrize("kind", [each for each in EACH if each.values[0] != "safetensors"])
@pytest.mark.parametrize("network", [Drawing, OfTheBatch, OfOneSize])
def test_what_cannot_give_the_same_images_is_not_left_behind(kind: str, network: type[nn.Module], here: Path) -> None:
    (here / "kept").write_text("mine")
    with pytest.raises(GanlabError) as caught:
        export_generator(wrapped(network(4, 2)), kind, here / "deep" / KINDS[kind], LIBRARY)
    assert f"as {kind}" in caught.value.message
    assert len(caught.value.message.splitlines()) == 1
    assert caught.value.hint
    assert [path.name for path in here.iterdir()] == ["kept"]


@pytest.mark.parametrize("kind", EACH)
def test_the_check_sees_what_is_wrong(kind: str, ring: FinishedRun, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    form = formats.FORMATS[kind]
    wrongs = {
        "they differ by up to": lambda samples: samples + 1e-3,
        "they differ by up to inf": lambda samples: samples * torch.nan,
        "a batch of 1 has shape (2,), not (1, 2)": lambda samples: samples[0],
        "it cannot be run with a batch of 7: ZeroDivisionError": lambda samples: samples if len(samples) != 7 else 1 / 0,
    }
    for message, spoil in wrongs.items():

        def read(path: Path, library: Any, spoil: Any = spoil) -> SampleFunction:
            program = form.read(path, library)
            return lambda latent, labels: spoil(program(latent, labels))

        monkeypatch.setitem(formats.FORMATS, kind, Format(form.write, read, form.suffix, form.names))
        with pytest.raises(GanlabError) as caught:
            export_generator(ring.generator, kind, here / KINDS[kind], Catalogue.of_installed())
        assert caught.value.message.startswith(f"exported as {kind}, the generator does not give the same samples: {message}")
        assert list(here.iterdir()) == []


@pytest.mark.parametrize(("side", "batches"), [(500, (1, 2, 7, 64)), (1000, (1, 2, 7, 16)), (3000, (1, 2))])
def test_batches_of_large_samples_are_smaller(side: int, batches: tuple[int, ...]) -> None:
    spec = {"role": "generator", "input_shape": (4,), "output_shape": (1, side, side), "classes": 0}
    generator, seen = wrapped(nn.Linear(4, 2), spec=spec), []
    assert verify_samples(generator, lambda latent, labels: (seen.append(len(latent)), generator(latent))[1], "onnx").batches == batches
    assert seen == list(batches)


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["--format", "onnx", "--out", "x.pt2"], "--out x.pt2: the format onnx is one .onnx file", "give a file name such as x.onnx"),
        (["--format", "torch", "--out", "x"], "--out x: the format torch is one .pt2 file", "give a file name such as x.pt2"),
        (
            ["--out", "x.safetensors"],
            "--out x.safetensors: the format safetensors is a folder, with weights and config.json",
            "give a folder name",
        ),
        (
            ["--out", "g.xyz"],
            "--out g.xyz: no export format has the suffix '.xyz'",
            "choices: .onnx, .pt2; for a folder of that name, with weights and config.json: `--format safetensors`",
        ),
        (
            ["--out", "g.pt"],
            "--out g.pt: no export format has the suffix '.pt'",
            "did you mean '.pt2'? (choices: .onnx, .pt2); for a folder of that name, with weights and config.json: `--format safetensors`",
        ),
        (["--out", "taken"], "--out taken: the format safetensors is a folder, with weights and config.json", "give a folder name"),
        (["--out", "taken.pt2"], "taken.pt2 is already there", "name another place with --out, or replace it with --force"),
    ],
)
def test_places_that_do_not_fit(words: list[str], message: str, hint: str, ring: FinishedRun, here: Path, capsys: Capture) -> None:
    for name in ("taken", "taken.pt2"):
        Path(name).write_text("mine")
    assert ganlab_says(capsys, "export", ring.path, *words) == (2, "", f"error: {message}\nhint: {hint}\n")
    assert sorted(path.name for path in here.iterdir()) == ["taken", "taken.pt2"]
    assert {Path(name).read_text() for name in ("taken", "taken.pt2")} == {"mine"}


def test_a_script_is_told_the_same_of_an_ending(ring: FinishedRun, here: Path) -> None:
    with pytest.raises(UsageError, match=r"no export format has the suffix '\.xyz'"):
        ring.export(out="g.xyz")
    assert list(here.iterdir()) == []


def test_a_folder_may_have_a_dot_in_its_name(ring: FinishedRun, here: Path) -> None:
    (here / "old.xyz").mkdir()
    for place, kind in (("mnist-1.2", None), ("old.xyz", None), ("g.xyz", "safetensors")):
        assert (here / ring.export(kind, out=place)[0]).parent == here / place


def test_a_script_may_leave_the_format_to_the_ending(ring: FinishedRun, here: Path) -> None:
    assert ring.export(out="g.pt2") == [Path("g.pt2")]


def test_force_replaces_and_leaves_what_else_is_there(ring: FinishedRun, here: Path) -> None:
    (here / "out").mkdir()
    for name in ("config.json", "mine.txt"):
        (here / "out" / name).write_text("old")
    with pytest.raises(UsageError, match=r"config\.json is already there"):
        ring.export(out="out")
    ring.export(out="out", force=True)
    assert sorted(path.name for path in (here / "out").iterdir()) == ["config.json", "generator.safetensors", "mine.txt"]
    assert (here / "out/mine.txt").read_text() == "old"
    ganlab.load_generator("out")


def test_missing_libraries_are_named_before_anything_is_done(
    ring: FinishedRun, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in ("onnx", "onnxscript") else find(name, *more))
    message = "ONNX needs the libraries onnx, onnxscript, onnxruntime; not installed: onnx, onnxscript"
    expected = (2, "", f"error: {message}\nhint: pip install 'ganlab[export]'\n")
    assert ganlab_says(capsys, "export", ring.path, "--format", "onnx") == expected
    assert list(here.iterdir()) == []


def test_the_extra_names_what_onnx_needs() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert {re.split(r"[<>=]", request)[0] for request in project["optional-dependencies"]["export"]} == set(formats.EXTRAS)


def test_an_unknown_format_from_a_script(ring: FinishedRun) -> None:
    with pytest.raises(UsageError) as caught:
        ring.export("onxx")
    assert str(caught.value) == "there is no format 'onxx'\ndid you mean 'onnx'? (choices: onnx, safetensors, torch)"


def test_a_checkpoint_can_be_exported(ring: FinishedRun, capsys: Capture) -> None:
    said = ganlab_says(capsys, "export", ring.path, "--checkpoint", "10", "--out", "ten")[1]
    assert said.startswith(f"generator of {ring.id}, step 10: ten/config.json (")
    assert not torch.equal(ganlab.load_generator("ten").sample(3), ring.samples(3))


@onnx
def test_the_page_on_sampling_runs(here: Path) -> None:
    page = (Path(__file__).parent.parent / "docs/sampling.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/sampling.md", "exec"), names)
    latent = torch.randn(8, *names["config"]["input_shape"])
    torch.testing.assert_close(names["network"](latent), names["run"].generator(latent))
    assert names["again"].sample(5).equal(names["run"].samples(5))
    assert (names["images"].shape, names["rows"].shape, names["points"].shape) == ((16, 2), (40, 2), (8, 2))
    from ganlab.cli import cli

    for command, words in re.findall(r"^ganlab (\w+) (\S.*?)(?: +#.*)?$", page, re.MULTILINE):
        cli.commands[command].make_context(command, words.split())  # which refuses what it does not know
