"""Export a generator to one of the file formats: choose the format, check the path, write, and verify what was written."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from ganlab.errors import GanlabError, UsageError, did_you_mean
from ganlab.game.random_streams import default_generators_restored
from ganlab.generators.exported_folder import CONFIG, WEIGHTS, read_exported, write_exported
from ganlab.generators.loaded import LoadedGenerator, rebuilt
from ganlab.generators.programs import read_onnx, read_torch, write_onnx, write_torch
from ganlab.generators.sampling import SampleFunction
from ganlab.generators.verification import Verification, first_line, verify_samples
from ganlab.recipe import Lookup
from ganlab.storage.output_files import refuse_existing, staged

EXTRAS = ("onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        write: writes a generator to a path.
        read: reads it again. The library finds the network, for formats that do not contain it.
        suffix: of the file, with its dot; empty if the format is a folder.
        names: the files in the folder.
    """

    write: Callable[[LoadedGenerator, Path], None]
    read: Callable[[Path, Lookup], SampleFunction]
    suffix: str
    names: tuple[str, ...] = ()


FORMATS = {
    "safetensors": Format(
        lambda generator, folder: write_exported(generator.network, generator.info, folder),
        lambda folder, library: rebuilt(folder, read_exported(folder), library),
        suffix="",
        names=(WEIGHTS, CONFIG),
    ),
    "onnx": Format(write_onnx, lambda path, library: read_onnx(path), ".onnx"),
    "torch": Format(write_torch, lambda path, library: read_torch(path), ".pt2"),
}


def export_generator(
    generator: LoadedGenerator, kind: str, out: Path, library: Lookup, force: bool = False
) -> tuple[list[Path], Verification]:
    """Write a generator as ``"safetensors"`` (a folder: weights, and ``config.json``), ``"onnx"`` or ``"torch"`` (a ``.pt2`` file).

    The write is atomic: if the verification fails, ``out`` stays as it was.

    Args:
        generator: on the CPU and in eval mode.
        kind: the format.
        out: the file, or the folder.
        library: finds the network to verify a safetensors export.
        force: replace existing files.

    Returns:
        The files, and the result of their verification.

    Raises:
        UsageError: there is no such format, ``out`` exists, or a library is missing.
        GanlabError: the network cannot be exported, or the written files do not give the same samples.
    """
    check_out(kind, out, force)
    file_format = FORMATS[kind]
    if kind == "onnx":
        require_extras()
    folder = out.parent if file_format.suffix else out
    with staged(folder) as stage, default_generators_restored(torch.device("cpu")):
        target = stage / out.name if file_format.suffix else stage
        try:
            file_format.write(generator, target)
            exported = file_format.read(target, library)
        except (GanlabError, OSError):
            raise
        except Exception as error:  # torch's exporters raise errors of many classes
            raise GanlabError(
                f"network '{generator.info['use']}' cannot be exported as {kind}: {type(error).__name__}: {first_line(error)}",
                "its forward() must be traceable for any batch size; `--format safetensors` exports any network",
            ) from error
        verification = verify_samples(generator, exported, kind)
        names = [file.name for file in sorted(stage.iterdir())]
    return [folder / name for name in names], verification


def usual_place(kind: str, name: str) -> Path:
    """The default output path for a run's generator, in the current folder. ``name`` is the run's."""
    return Path(f"{name}{_format(kind).suffix or '-generator'}")


def kind_of(out: Path | None) -> str:
    """The format that an output path implies: by its suffix; without a suffix, a folder of safetensors.

    Raises:
        UsageError: no format has that suffix.
    """
    suffix = out.suffix.lower() if out is not None else ""
    kinds = {file_format.suffix: kind for kind, file_format in FORMATS.items()}
    if suffix in kinds:
        return kinds[suffix]
    # "v1.2" is a folder; check_out refuses ".safetensors" with a better message.
    if out is None or out.is_dir() or suffix[1:].isdigit() or suffix in _suffixes():
        return "safetensors"
    suffixes = sorted(filter(None, kinds))
    raise UsageError(
        f"--out {out}: no export format has the suffix '{suffix}'",
        f"{did_you_mean(suffix, suffixes)}; for a folder of that name, with weights and {CONFIG}: `--format safetensors`",
    )


def check_out(kind: str, out: Path, force: bool) -> None:
    """Check that ``out`` is a valid output path for the format.

    Raises:
        UsageError: it is not, or it exists and ``force`` is false.
    """
    file_format = _format(kind)
    suffix = file_format.suffix
    if suffix and out.suffix.lower() != suffix:
        raise UsageError(f"--out {out}: the format {kind} is one {suffix} file", f"give a file name such as {out.with_suffix(suffix)}")
    if not suffix and (out.is_file() or out.suffix.lower() in _suffixes()):
        raise UsageError(f"--out {out}: the format {kind} is a folder, with weights and {CONFIG}", "give a folder name")
    refuse_existing([out] if suffix else [out / name for name in file_format.names], force)


def require_extras() -> None:
    """Check that the libraries for ONNX are installed.

    Raises:
        UsageError: one is missing.
    """
    missing = [name for name in EXTRAS if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"ONNX needs the libraries {', '.join(EXTRAS)}; not installed: {', '.join(missing)}", "python -m pip install 'ganlab[export]'"
        )


def _format(kind: str) -> Format:
    if kind not in FORMATS:
        raise UsageError(f"there is no format '{kind}'", did_you_mean(kind, FORMATS))
    return FORMATS[kind]


def _suffixes() -> list[str]:
    return [Path(WEIGHTS).suffix, *(file_format.suffix for file_format in FORMATS.values() if file_format.suffix)]
