"""A generator in files that other programs read, each of which is checked to give the same images before it is left at its place."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.errors import GanlabError, UsageError, did_you_mean
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators import latents
from ganlab.generators.exported_folder import CONFIG, FORMAT, WEIGHTS, read_exported
from ganlab.generators.loaded import LoadedGenerator, rebuilt
from ganlab.recipe import Lookup
from ganlab.storage.output_files import refuse_existing, staged
from ganlab.version import __version__

BATCHES = (1, 2, 7, 64)  # that the check is made with
SEED = 20240229  # of its latents
TOLERANCE = 1e-5  # times the largest absolute value of a sample
EXTRAS = ("onnx", "onnxscript", "onnxruntime")

#: Latents and labels (or None) of a batch to its samples.
Program = Callable[[Tensor, Tensor | None], Tensor]


@dataclass(frozen=True)
class Exported:
    """What was written, and what its check has shown.

    Attributes:
        files: at their places.
        difference: the largest one between a value of its samples and of the generator's own.
        tolerance: the largest that would have been accepted.
    """

    files: list[Path]
    difference: float
    tolerance: float


@dataclass(frozen=True)
class _Format:
    write: Callable[[LoadedGenerator, Path], None]
    read: Callable[[Path, Lookup], Program]
    suffix: str  # of its file; empty: a folder with `names`
    names: tuple[str, ...] = ()


def export_generator(generator: LoadedGenerator, kind: str, out: Path, library: Lookup, force: bool = False) -> Exported:
    """Write a generator as ``"safetensors"`` (a folder: weights, and ``config.json``), ``"onnx"`` or ``"torch"`` (a ``.pt2`` file).

    Args:
        generator: on the CPU and in eval mode.
        kind: the format.
        out: the file, or the folder.
        library: where the network is found again, to check a safetensors export.
        force: replace what is there.

    Raises:
        UsageError: there is no such format, ``out`` is taken, or a library is missing.
        GanlabError: the network cannot be exported, or what was written does not give the same images; nothing is left behind.
    """
    check_out(kind, out, force)
    form = FORMATS[kind]
    if kind == "onnx":
        require_extras()
    folder = out.parent if form.suffix else out
    with staged(folder) as stage, default_generators_restored(torch.device("cpu")):
        target = stage / out.name if form.suffix else stage
        try:
            form.write(generator, target)
            program = form.read(target, library)
        except (GanlabError, OSError):
            raise
        except Exception as error:  # torch's exporters raise errors of many classes, long ones
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise GanlabError(
                f"network '{generator.info['use']}' cannot be exported as {kind}: {type(error).__name__}: {first}",
                "its forward() must be traceable for any batch size; `--format safetensors` exports any network",
            ) from error
        difference, tolerance = compared(generator, program, kind)
        names = [file.name for file in sorted(stage.iterdir())]
    return Exported([folder / name for name in names], difference, tolerance)


def usual_place(kind: str, name: str) -> Path:
    """Where the generator of a run of that name is written when nobody says where: in the current folder."""
    return Path(f"{name}{_format(kind).suffix or '-generator'}")


def kind_of(out: Path | None) -> str:
    """The format that a place asks for where nobody names one: by a file's ending; without an ending, a folder of safetensors.

    Raises:
        UsageError: the ending is of no format.
    """
    suffix = out.suffix.lower() if out is not None else ""
    kinds = {form.suffix: kind for kind, form in FORMATS.items()}
    if suffix in kinds:
        return kinds[suffix]
    if out is None or out.is_dir() or suffix[1:].isdigit() or suffix in _suffixes():  # "v1.2" is no file; check_out says more of the last
        return "safetensors"
    endings = sorted(filter(None, kinds))
    raise UsageError(
        f"--out {out}: '{suffix}' is the ending of no format that a generator is written in",
        f"{did_you_mean(suffix, endings)}; for a folder of that name, with weights and {CONFIG}: `--format safetensors`",
    )


def check_out(kind: str, out: Path, force: bool) -> None:
    """See that ``out`` is a place for that format.

    Raises:
        UsageError: it is not.
    """
    form = _format(kind)
    if form.suffix and out.suffix.lower() != form.suffix:
        raise UsageError(f"--out {out}: {kind} is written as one {form.suffix} file", f"name {out.with_suffix(form.suffix)}, for instance")
    if not form.suffix and (out.is_file() or out.suffix.lower() in _suffixes()):
        raise UsageError(f"--out {out}: {kind} is written as a folder, with weights and {CONFIG}", "name a folder")
    refuse_existing([out] if form.suffix else [out / name for name in form.names], force)


def require_extras() -> None:
    """See that the libraries for ONNX are installed.

    Raises:
        UsageError: one is missing.
    """
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX needs the libraries {', '.join(EXTRAS)}; not installed: {', '.join(missing)}", "python -m pip install 'ganlab[export]'"
        )


def compared(generator: LoadedGenerator, program: Program, kind: str) -> tuple[float, float]:
    """The largest difference between the program's samples and the generator's, on fixed latents in batches of several sizes.

    Returns:
        It, and the largest that is accepted.

    Raises:
        GanlabError: it is larger, or the program cannot be run with that batch, or gives another shape.
    """
    difference = largest = 0.0
    for count in BATCHES:
        latent, labels = example(generator, count)
        try:
            with torch.no_grad():
                wanted, made = generator(latent, labels), program(latent, labels)
        except Exception as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise _wrong(kind, f"it cannot be run with a batch of {count}: {type(error).__name__}: {first}") from error
        if made.shape != wanted.shape:
            raise _wrong(kind, f"a batch of {count} has shape {tuple(made.shape)}, not {tuple(wanted.shape)}")
        difference = max(difference, float((made - wanted).abs().nan_to_num(torch.inf).max()))
        largest = max(largest, float(wanted.abs().max()))
    if not difference <= TOLERANCE * largest:
        again = "; does the network draw random numbers itself, or depend on the whole batch?"
        raise _wrong(kind, f"they differ by up to {difference:.2g}, and {TOLERANCE * largest:.2g} is accepted{again}")
    return difference, TOLERANCE * largest


def example(generator: LoadedGenerator, count: int) -> tuple[Tensor, Tensor | None]:
    """Fixed latents, and labels where the generator takes them."""
    return latents.draw(generator, count, SEED), latents.labels_of(generator, count, None)


def config_of(generator: LoadedGenerator) -> dict[str, Any]:
    """All but the weights: what builds the network again, and what its latents and samples are."""
    info = generator.info
    return {
        "format": FORMAT,
        "ganlab": __version__,
        "recipe": info["recipe"],
        "step": info["step"],
        "network": {"use": info["use"], "options": info["options"]},
        "input_shape": list(info["spec"]["input_shape"]),
        "output_shape": list(info["spec"]["output_shape"]),
        "classes": info["spec"]["classes"],
        "class_names": list(info["class_names"]),
        "takes_labels": generator.takes_labels,
        "noise": info["law"],
        "range": None if info["range"] is None else list(info["range"]),
        "drawn_as": info["drawn_as"],
        "dtype": str(next(generator.network.parameters()).dtype).removeprefix("torch."),
    }


class _Called(nn.Module):
    """The network, called in the same way whatever its second parameter is called."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, latent: Tensor, labels: Tensor | None = None) -> Tensor:
        samples: Tensor = self.network(latent) if labels is None else self.network(latent, labels=labels)
        return samples


def _write_safetensors(generator: LoadedGenerator, folder: Path) -> None:
    from safetensors.torch import save

    weights = {name: value.detach().clone().contiguous() for name, value in generator.network.state_dict().items()}
    content = save(weights, {"format": "pt"})
    (folder / WEIGHTS).write_bytes(content)
    config = config_of(generator) | {"sha256": hashlib.sha256(content).hexdigest(), "layers": str(generator.network).splitlines()}
    (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _write_torch(generator: LoadedGenerator, path: Path) -> None:
    torch.export.save(_traced(generator), path, extra_files={CONFIG: json.dumps(config_of(generator))})


def _write_onnx(generator: LoadedGenerator, path: Path) -> None:
    latent, labels = example(generator, 2)
    given = (latent,) if labels is None else (latent, labels)
    program = torch.onnx.export(
        _traced(generator),
        given,
        dynamo=True,
        input_names=["latent", "labels"][: len(given)],
        output_names=["samples"],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props["ganlab"] = json.dumps(config_of(generator))
    program.save(path, external_data=False)


def _traced(generator: LoadedGenerator) -> torch.export.ExportedProgram:
    """The network as torch sees it, for any batch size."""
    latent, labels = example(generator, 2)
    given = (latent,) if labels is None else (latent, labels)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in given)
    program = torch.export.export(_Called(generator.network).eval(), given, dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # where each line of the network lies on this machine
    return program


def _read_safetensors(folder: Path, library: Lookup) -> Program:
    return rebuilt(folder, read_exported(folder), library)


def _read_torch(path: Path, _library: Lookup) -> Program:
    module = torch.export.load(path).module()

    def run(latent: Tensor, labels: Tensor | None) -> Tensor:
        samples: Tensor = module(latent) if labels is None else module(latent, labels)
        return samples.detach()

    return run


def _read_onnx(path: Path, _library: Lookup) -> Program:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(latent: Tensor, labels: Tensor | None) -> Tensor:
        given = {"latent": latent.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
        return torch.from_numpy(session.run(["samples"], given)[0])

    return run


def _wrong(kind: str, why: str) -> GanlabError:
    return GanlabError(f"as {kind} the generator does not give the same images: {why}", "nothing was left behind")


def _format(kind: str) -> _Format:
    if kind not in FORMATS:
        raise UsageError(f"there is no format '{kind}'", did_you_mean(kind, FORMATS))
    return FORMATS[kind]


def _suffixes() -> list[str]:
    return [Path(WEIGHTS).suffix, *(form.suffix for form in FORMATS.values() if form.suffix)]


FORMATS = {
    "safetensors": _Format(_write_safetensors, _read_safetensors, "", (WEIGHTS, CONFIG)),
    "onnx": _Format(_write_onnx, _read_onnx, ".onnx"),
    "torch": _Format(_write_torch, _read_torch, ".pt2"),
}
