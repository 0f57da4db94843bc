"""Judges: what sees images for the metrics."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import ganlab
from ganlab.errors import UsageError
from ganlab.evaluation import Judge, JudgeSpec, NotMeasured, Samples, Stopped, complete_of, held_out_of, pictures
from ganlab_datasets import digits, image_folder, mnist, ring
from ganlab_judges import automatic, classifier, inception, random_network, training
from ganlab_judges.inception import FILE
from ganlab_judges.kept import identity, read
from ganlab_judges.network import Halving, multiplications
from ganlab_judges.training import calibration_error, temperature_for

CPU = torch.device("cpu")
NOWHERE = Path("nowhere")
SOME = 6000  # images in training


def data_of(**options: Any) -> ganlab.ResidentDataset:
    found = digits(ganlab.DatasetSpec(NOWHERE, 0, False), **options)
    found.place(CPU, torch.float32)
    return found


def spec_of(data: Any, cache: Path, told: list[str] | None = None, held_out: Any = None) -> JudgeSpec:
    return JudgeSpec(data, held_out, cache, CPU, (told if told is not None else []).append)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with a classifier of the digits, trained on a fifth of the usual number of images."""
    folder = tmp_path_factory.mktemp("judges")
    classifier(spec_of(data_of(), folder), images=SOME)
    return folder


def images(data: ganlab.ResidentDataset, count: int = 300) -> torch.Tensor:
    return pictures(data, data.fetch(torch.arange(count)).images)


def test_a_classifier_is_trained_once_and_knows_how_good_it_is(cache: Path) -> None:
    told: list[str] = []
    judge = classifier(spec_of(data_of(), cache, told), images=SOME)
    assert told == []  # it was in the cache
    assert judge.facts["accuracy"] > 0.95 and judge.facts["measured"] == 1797 // 6
    assert 0 <= judge.facts["calibration_error"] < 0.05
    data = data_of()
    guesses = judge.probabilities(images(data))
    assert data.labels is not None
    assert float((guesses.argmax(1) == data.labels[:300]).float().mean()) > 0.95
    assert guesses.sum(1).tolist() == pytest.approx([1.0] * 300, abs=1e-5)
    assert judge.features(images(data)).shape == (300, 64)
    assert judge.description.startswith("a small classifier: 9") and "of 299 other images right" in judge.description


@pytest.mark.slow
def test_a_classifier_with_the_usual_number_of_images() -> None:
    judge = classifier(spec_of(data_of(), Path(os.environ["GANLAB_CACHE"])))  # where other tests may have left it
    assert (judge.facts["images"], judge.facts["measured"]) == (20 * 1498, 299)
    assert judge.facts["accuracy"] > 0.97 and judge.facts["calibration_error"] < 0.05


def test_recipes_of_one_data_set_share_it(cache: Path) -> None:
    told: list[str] = []
    judges = [classifier(spec_of(data_of(range=range_), cache, told), images=SOME) for range_ in ((-1.0, 1.0), (0.0, 1.0))]
    assert told == [] and judges[0].identity == judges[1].identity
    some = complete_of(data_of(classes=(1, 7)))
    some.place(CPU, torch.float32)
    assert classifier(spec_of(some, cache, told), images=SOME).identity == judges[0].identity
    assert told == []


def test_training_it_is_reproducible_and_moves_no_other_randomness(tmp_path: Path) -> None:
    identities = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        identities.append(classifier(spec_of(data_of(), tmp_path / str(seed)), images=1000).identity)
        assert torch.equal(torch.get_rng_state(), before)
    assert identities[0] == identities[1]


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    data = data_of(classes=(0, 1))
    first = classifier(spec_of(data, tmp_path), images=200)
    (file,) = (tmp_path / "judges").glob("*.safetensors")
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    assert read(file) is None
    told: list[str] = []
    assert classifier(spec_of(data, tmp_path, told), images=200).identity == first.identity
    assert len(told) == 1 and told[0].startswith("A classifier is trained once, on the ")
    assert read(file) is not None


def test_one_process_makes_it_and_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["ganlab_judges.classifier"]  # the package has the function under that name
    made: list[int] = []
    slow = module._make

    def slowly(*args: Any) -> Any:
        made.append(1)
        time.sleep(1.5)
        return slow(*args)

    monkeypatch.setattr(module, "_make", slowly)
    data, told, found = data_of(classes=(0, 1)), list[str](), list[str]()
    threads = [
        threading.Thread(target=lambda: found.append(classifier(spec_of(data, tmp_path, told), images=200).identity)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(set(found)), len(found)) == (1, 1, 2)
    assert any(text.startswith("Another process is making the judge classifier-") for text in told)


def test_without_a_cache_it_is_made_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told: list[str] = []
    classifier(spec_of(data_of(classes=(0, 1)), tmp_path / "file", told), images=200)
    assert told[-1].startswith(f"The judge cannot be written to {tmp_path / 'file' / 'judges'} and must be made again next time: ")


def test_held_out_images_are_what_it_is_measured_on(tmp_path: Path) -> None:
    data, other = data_of(classes=(0, 1)), data_of(classes=(0, 1))
    judge = classifier(spec_of(data, tmp_path, held_out=other), images=200)
    assert judge.facts["measured"] == len(other)


def test_what_has_no_classes_has_no_classifier(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        classifier(spec_of(data_of(classes=(3,)), tmp_path))
    assert str(error.value) == ("the judge 'classifier' needs images of two classes or more\nuse [judge] use = \"random_network\"")


@pytest.mark.parametrize(("shape", "sides"), [((1, 1, 1), 1), ((2, 5, 9), 1), ((3, 64, 48), 1)])
def test_images_of_any_shape(tmp_path: Path, shape: tuple[int, int, int], sides: int) -> None:
    pixels = torch.randint(0, 256, (40, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    data = ganlab.ResidentDataset(pixels, torch.arange(40) % 2, scale=1 / 255, range=(0.0, 1.0), class_names=("even", "odd"))
    judge = classifier(spec_of(data, tmp_path), images=100)
    assert judge.features(pixels[:3] / 255).shape == (3, 64)
    assert random_network(spec_of(data, tmp_path)).features(pixels[:3] / 255).isfinite().all()


def test_random_features_tell_distributions_apart(tmp_path: Path) -> None:
    data = data_of()
    judge, other = random_network(spec_of(data, tmp_path)), random_network(spec_of(data, tmp_path), seed=1)
    assert judge.identity == random_network(spec_of(data, tmp_path)).identity != other.identity
    ones, halves, more = judge.features(torch.rand(200, 1, 28, 28)), judge.features(images(data)[:150]), judge.features(images(data)[150:])
    assert float((ones.mean(0) - halves.mean(0)).norm()) > 5 * float((halves.mean(0) - more.mean(0)).norm())
    assert (judge.classes, halves.shape) == (0, (150, 64))


def test_automatic_takes_what_fits(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["ganlab_judges.classifier"], "usual_images", lambda shape: SOME)
    assert automatic(spec_of(data_of(), cache)).description.startswith("a small classifier")
    assert automatic(spec_of(data_of(classes=(3,)), cache)).description.startswith("a convolutional network with random weights")
    colour = ganlab.ResidentDataset(torch.zeros(20, 3, 8, 8, dtype=torch.uint8), scale=1 / 255, range=(0.0, 1.0))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told: list[str] = []
    assert automatic(spec_of(colour, tmp_path, told)).description.startswith("a convolutional network with random weights")
    assert told == [
        "Colour images are judged by 'random_network', because the judge 'inception' needs torch-fidelity, which is not installed. "
        "pip install 'ganlab[inception]'"
    ]


def test_inception_says_where_its_weights_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    def refused(*args: Any, **options: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "urlopen", refused)
    colour = ganlab.ResidentDataset(torch.zeros(20, 3, 8, 8, dtype=torch.uint8), scale=1 / 255, range=(0.0, 1.0))
    told: list[str] = []
    with pytest.raises(UsageError) as error:
        inception(spec_of(colour, tmp_path, told))
    place = tmp_path / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    assert told == [f"Downloading the weights of Inception (95 MB) to {place}. This happens once."]
    assert str(error.value) == (
        "the weights of Inception cannot be loaded: OSError: no route to host\nwithout a network, put torch-fidelity's "
        f"weights-inception-2015-12-05-6726825d.pth at {place}, or use another judge: "
        '[judge] use = "classifier" for labelled images, "random_network" for others'
    )


def test_inception_sees_bytes_of_three_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    seen: list[torch.Tensor] = []

    class StandIn(torch.nn.Module):
        def __init__(self, name: str, features: list[str]) -> None:
            super().__init__()
            assert (name, features) == ("inception-v3-compat", ["2048", "logits_unbiased"])

        def forward(self, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            seen.append(shown)
            return torch.ones(len(shown), 2048), torch.zeros(len(shown), 1008)

    monkeypatch.setattr(module, "FeatureExtractorInceptionV3", StandIn)
    grey = ganlab.ResidentDataset(torch.zeros(20, 1, 8, 8, dtype=torch.uint8), scale=1 / 255, range=(0.0, 1.0))
    judge: Judge = inception(spec_of(grey, tmp_path))
    assert judge.features(torch.full((150, 1, 8, 8), 0.5)).shape == (150, 2048)
    assert [(tuple(part.shape), part.dtype, int(part.max())) for part in seen] == [
        ((100, 3, 8, 8), torch.uint8, 128), ((50, 3, 8, 8), torch.uint8, 128)
    ]  # fmt: skip
    assert judge.probabilities(torch.zeros(2, 1, 8, 8)).tolist() == [pytest.approx([1 / 1008] * 1008)] * 2


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder of torch's with a file of Inception's weights, of that name and shape, and a network that has them: they are random."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    hub = tmp_path_factory.mktemp("hub")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "load_state_dict_from_url", lambda *_, **__: None)
        patched.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"])
    (hub / "checkpoints").mkdir()
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, value in network.state_dict().items():
        if value.dim() < 2:
            weights[name] = value
        else:
            std = math.sqrt(2 / value[0].numel())
            weights[name] = torch.randn(value.shape, generator=generator) * std
    network.load_state_dict(weights)
    torch.save(weights, hub / "checkpoints" / FILE)
    return hub, network


@pytest.mark.parametrize("channels", [1, 3])
def test_inception_with_a_file_of_weights(
    channels: int, stand_in: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of its way, but for what the true weights have learnt: the file is found, images of any size become 299 x 299 bytes."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    hub, network = stand_in
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    monkeypatch.setattr(torch.hub, "urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    told: list[str] = []
    data = ganlab.ResidentDataset(torch.zeros(4, channels, 8, 8, dtype=torch.uint8), scale=1 / 255, range=(0.0, 1.0))
    judge = inception(spec_of(data, tmp_path, told))
    assert (told, judge.classes, judge.identity) == ([], 1008, identity(dict(network.state_dict())))
    images = torch.rand(3, channels, 40, 24, generator=torch.Generator().manual_seed(1))
    entered: list[torch.Tensor] = []
    judge.extractor.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, given: entered.append(given[0]))
    features, probabilities = judge.features(images), judge.probabilities(images)
    large = interpolate_bilinear_2d_like_tensorflow1x((images * 255).round(), size=(299, 299), align_corners=False)
    assert [part.shape for part in entered] == [(3, 3, 299, 299)] * 2
    for channel in range(3):
        assert torch.allclose(entered[0][:, channel], (large[:, min(channel, channels - 1)] - 128) / 128, atol=1e-5)
    whole, logits = network((images * 255).round().to(torch.uint8).expand(-1, 3, -1, -1))
    assert torch.allclose(features, whole) and features.shape == (3, 2048) and float(features.std()) > 0
    assert torch.allclose(probabilities, logits.softmax(1)) and probabilities.shape == (3, 1008)
    assert torch.allclose(judge.features(images[1:2]), features[1:2], rtol=1e-3, atol=1e-5)  # whatever else is in the batch


def test_a_damaged_file_of_inceptions_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_fidelity")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / FILE).write_bytes(b"half of it")
    with pytest.raises(UsageError) as error:
        inception(spec_of(coloured(8), tmp_path))
    assert (
        error.value.message.startswith("the weights of Inception cannot be loaded: ")
        and str(tmp_path / "checkpoints" / FILE) in error.value.hint
    )


def test_inception_sees_colour_or_grey_and_nothing_else(tmp_path: Path) -> None:
    four = ganlab.ResidentDataset(torch.zeros(4, 4, 8, 8, dtype=torch.uint8), scale=1 / 255, range=(0.0, 1.0))
    with pytest.raises(UsageError) as error:
        inception(spec_of(four, tmp_path))
    assert error.value.message == "the judge 'inception' is for images with three channels or one, and these have 4"


# -- what data sets tell of themselves -------------------------------------------------------------------------------------


def test_held_out_and_complete(tmp_path: Path) -> None:
    drawn = ring(ganlab.DatasetSpec(NOWHERE, 7), samples=80)
    fresh = held_out_of(drawn)
    assert fresh is not None and len(fresh) == 80
    assert not torch.equal(fresh.fetch(torch.arange(80)).images, drawn.fetch(torch.arange(80)).images)
    assert held_out_of(data_of()) is None and complete_of(drawn) is drawn
    assert len(complete_of(data_of(classes=(1,)))) == 1797


def test_folders_have_what_was_held_out(tmp_path: Path) -> None:
    import numpy as np

    for name, value in (("train", 0), ("other", 200)):
        for label in ("a", "b"):
            (tmp_path / name / label).mkdir(parents=True)
            for number in range(3):
                np.save(tmp_path / name / label / f"{number}.npy", np.full((4, 4, 1), value, dtype=np.uint8))
    spec = ganlab.DatasetSpec(NOWHERE, 0)
    data = image_folder(spec, path=tmp_path / "train", size=4, channels=1, classes=("b",), held_out=tmp_path / "other", range=(0.0, 1.0))
    held, whole = held_out_of(data), complete_of(data)
    assert held is not None and (len(held), list(held.class_names)) == (3, ["b"])
    held.place(CPU, torch.float32)
    assert float(held.fetch(torch.arange(3)).images.mean()) == pytest.approx(200 / 255)
    assert (len(whole), list(whole.class_names)) == (6, ["a", "b"])
    assert held_out_of(image_folder(spec, path=tmp_path / "train", size=4, channels=1)) is None


@pytest.mark.mnist
def test_mnist_holds_its_other_half_out() -> None:
    root = os.environ.get("GANLAB_DATA")
    if not root or not (Path(root) / "MNIST/raw").is_dir():
        pytest.skip("GANLAB_DATA has no MNIST")
    data = mnist(ganlab.DatasetSpec(Path(root), 0, False), classes=(3,))
    held, whole = held_out_of(data), complete_of(data)
    assert held is not None and (len(data), len(held), len(whole)) == (6131, 1010, 60000)


# -- closed forms ----------------------------------------------------------------------------------------------------------


def test_calibration_error_of_what_is_known() -> None:
    labels = torch.tensor([0, 0, 0, 1] * 25)
    sure, honest = torch.tensor([[1.0, 0.0]] * 100), torch.tensor([[0.75, 0.25]] * 100)
    assert calibration_error(sure, labels) == pytest.approx(0.25)
    assert calibration_error(honest, labels) == pytest.approx(0.0, abs=1e-6)


def test_the_temperature_is_found_again() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 5, generator=generator) * 2
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    for wrong_by in (0.5, 1.0, 3.0):
        assert temperature_for(logits * wrong_by, labels) == pytest.approx(wrong_by, rel=0.06)
    assert math.isfinite(temperature_for(logits[:1] * 1e4, labels[:1]))


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (1, 1, 7, 5), (1, 2, 2, 3)])
def test_halving_is_that_of_max_pooling(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.max_pool2d(x, 2)
    for layer in (Halving().train(), Halving().eval()):
        assert torch.equal(layer(x), expected)


def test_no_image_is_looked_at_twice(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, looks, seen = classifier(spec_of(data_of(), cache), images=SOME), [], training.seen
    expected = judge.probabilities(images(data_of()))
    monkeypatch.setattr(training, "seen", lambda *given: looks.append(len(given[1])) or seen(*given))
    samples = Samples(images(data_of()), lambda: judge)
    assert samples.features.shape == (300, 64)
    assert torch.equal(samples.probabilities, expected) and looks == [300]


# -- how long it takes, and what happens when nobody wants to wait ---------------------------------------------------------


def coloured(side: int, count: int = 40) -> ganlab.ResidentDataset:
    pixels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return ganlab.ResidentDataset(pixels, torch.arange(count) % 2, scale=1 / 255, range=(0.0, 1.0), class_names=("even", "odd"))


def test_a_gpu_computes_judges_by_cudnn_with_all_bits_and_in_one_order(monkeypatch: pytest.MonkeyPatch) -> None:
    cudnn, states = torch.backends.cudnn, []

    class Looking(training.SmallNetwork):
        def forward(self, images: torch.Tensor) -> Any:
            states.append((self.training, cudnn.enabled, cudnn.allow_tf32, cudnn.deterministic))
            return super().forward(images)

    monkeypatch.setattr(training, "SmallNetwork", Looking)
    before = (cudnn.enabled, cudnn.allow_tf32, cudnn.deterministic)
    data = data_of()
    network = training.train(data, torch.arange(len(data)), features=4, images=20, device=torch.device("cpu"))
    training.logits_of(network, data, torch.arange(4), torch.device("cpu"))
    assert set(states) == {(True, True, False, True), (False, True, False, True)}
    assert before == (cudnn.enabled, cudnn.allow_tf32, cudnn.deterministic) == (True, True, False)


@pytest.mark.parametrize(
    ("shape", "images"), [((1, 28, 28), 300_000), ((3, 32, 32), 300_000), ((3, 64, 64), 64_500), ((3, 256, 256), 64_500)]
)
def test_large_images_are_not_what_a_person_waits_hours_for(shape: tuple[int, int, int], images: int) -> None:
    assert sys.modules["ganlab_judges.classifier"].usual_images(shape) == images
    assert images * multiplications(shape) <= 3.1 * 300_000 * multiplications((1, 28, 28))


def test_what_a_recipe_says_is_done_and_large_images_have_files_of_their_own(tmp_path: Path) -> None:
    judge = classifier(spec_of(coloured(130), tmp_path), images=200)
    assert judge.facts["images"] == 200
    seen = judge.network.body[0]
    assert judge.network.by == 2 and isinstance(seen, torch.nn.Conv2d)
    fine = torch.ones(1, 3, 130, 130)
    fine[..., ::2] = 0
    assert torch.equal(judge.features(fine), judge.features(torch.full_like(fine, 0.5)))  # what is finer is not seen


@pytest.mark.mnist
def test_of_mnist_it_is_the_one_that_has_been_made_up_to_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = os.environ.get("GANLAB_DATA")
    if not root or not (Path(root) / "MNIST/raw").is_dir():
        pytest.skip("GANLAB_DATA has no MNIST")
    data = mnist(ganlab.DatasetSpec(Path(root), 0, False))
    held = held_out_of(data)
    assert held is not None
    for part in (data, held):
        part.place(CPU, torch.float32)
    usual_name, asked = "classifier-5f7aa92afe1d8d5e.safetensors", list[Path]()

    def found(path: Path, *_: Any) -> Any:
        asked.append(path)
        raise NotMeasured("enough")

    monkeypatch.setattr("ganlab_judges.kept.get", found)
    for options in ({}, {"images": 300_000}):
        with pytest.raises(NotMeasured):
            classifier(spec_of(data, tmp_path, held_out=held), **options)
    assert [path.name for path in asked] == [usual_name] * 2


@pytest.mark.parametrize(
    ("steps", "seconds_each", "told"), [(3000, 0.02, 60.0), (3000, 6.0, 18_000.0), (10, 0.5, 5.0)], ids=["quick", "slow", "few"]
)
def test_how_long_it_takes_is_told_after_the_first_batches(
    steps: int, seconds_each: float, told: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, said = [100.0], list[float]()
    waits = iter([0.0, 30.0])  # while the schedule is made, and in the first step: a GPU warms up

    def schedule_step(self: object) -> None:
        now[0] += next(waits, seconds_each)

    monkeypatch.setattr("ganlab_judges.training.time.monotonic", lambda: now[0])
    monkeypatch.setattr("torch.optim.lr_scheduler.OneCycleLR.step", schedule_step)
    data = data_of(classes=(0, 1))
    with contextlib.suppress(Stopped):
        training.train(data, torch.arange(4), 4, steps * 4, torch.device("cpu"), said.append, stopping=lambda: bool(said))
    assert said == [pytest.approx(told)]
    assert now[0] - 130 <= 12


def test_it_is_told_in_minutes(tmp_path: Path) -> None:
    told: list[str] = []
    classifier(spec_of(data_of(classes=(0, 1)), tmp_path, told), images=2000)
    assert told == [
        "A classifier is trained once, on the 300 labelled images, to judge samples. It sees 2,000 images, "
        "which takes less than a minute, and is kept for later runs on these data."
    ]


def test_stopped_while_it_is_made_it_leaves_nothing(tmp_path: Path) -> None:
    told, asked = list[str](), list[int]()

    def stopping() -> bool:
        asked.append(1)
        return len(asked) > 20

    spec = JudgeSpec(data_of(), None, tmp_path, CPU, told.append, stopping)
    with pytest.raises(Stopped):
        classifier(spec)
    assert len(asked) == 21 and len(told) == 1
    assert [path.suffix for path in (tmp_path / "judges").iterdir()] == [".lock"]
    assert classifier(spec_of(data_of(classes=(0, 1)), tmp_path), images=200).classes == 2  # nor is anything locked


def test_nobody_waits_for_another_process_when_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("filelock.FileLock.acquire", _never)
    monkeypatch.setattr(sys.modules["ganlab_judges.classifier"], "_make", lambda *_: pytest.fail("it was made after all"))
    told: list[str] = []
    spec = JudgeSpec(data_of(), None, tmp_path, CPU, told.append, lambda: bool(told))
    with pytest.raises(Stopped):
        classifier(spec)
    assert len(told) == 1 and told[0].startswith("Another process is making the judge")


def _never(self: Any, **_: Any) -> None:
    from filelock import Timeout

    raise Timeout("held")


def test_what_a_killed_process_had_half_written_goes(tmp_path: Path) -> None:
    data = data_of(classes=(0, 1))
    classifier(spec_of(data, tmp_path), images=200)
    (file,) = (tmp_path / "judges").glob("*.safetensors")
    half, other = file.with_suffix(".99.part"), tmp_path / "judges/classifier-0123.99.part"
    for path in (half, other):
        path.write_bytes(b"half")
    file.unlink()
    classifier(spec_of(data, tmp_path), images=200)
    assert (file.exists(), half.exists(), other.exists()) == (True, False, True)
