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


def export_generator(generator: LoadedGenerator, kind: str, out: Path, library: Lookup) -> tuple[list[Path], Verification]:
    """Write a generator as ``"safetensors"`` (a folder: weights, and ``config.json``), ``"onnx"`` or ``"torch"`` (a ``.pt2`` file).

    The write is atomic, and replaces existing files. If the verification fails, ``out`` stays as it was.

    Args:
        generator: on the CPU and in eval mode.
        kind, out: the format, and the file or folder, as :func:`destination` returns them.
        library: finds the network to verify a safetensors export.

    Returns:
        The files, and the result of their verification.

    Raises:
        GanlabError: the network cannot be exported, or the written files do not give the same samples.
    """
    file_format = FORMATS[kind]
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


def destination(kind: str | None, out: Path | None, name: str, force: bool) -> tuple[str, Path]:
    """Choose the format and the path of an export, and check that the export can be written.

    Args:
        kind: the format; None: the one that ``out`` implies by its suffix; without a suffix, a folder of safetensors.
        out: the file or folder; None: in the current folder, named after the run.

    Raises:
        UsageError: there is no such format, ``out`` does not fit it or exists, or a library is missing.
    """
    kind = kind or _kind_of(out)
    if kind not in FORMATS:
        raise UsageError(f"there is no format '{kind}'", did_you_mean(kind, FORMATS))
    file_format = FORMATS[kind]
    suffix = file_format.suffix
    out = out or Path(f"{name}{suffix or '-generator'}")
    if suffix and out.suffix.lower() != suffix:
        raise UsageError(f"--out {out}: the format {kind} is one {suffix} file", f"give a file name such as {out.with_suffix(suffix)}")
    if not suffix and (out.is_file() or out.suffix.lower() in _suffixes()):
        raise UsageError(f"--out {out}: the format {kind} is a folder, with weights and {CONFIG}", "give a folder name")
    refuse_existing([out] if suffix else [out / file for file in file_format.names], force)
    missing = [library for library in EXTRAS if importlib.util.find_spec(library) is None] if kind == "onnx" else []
    if missing:
        raise UsageError(
            f"ONNX needs the libraries {', '.join(EXTRAS)}; not installed: {', '.join(missing)}", "pip install 'ganlab[export]'"
        )
    return kind, out


def _kind_of(out: Path | None) -> str:
    """The format that an output path implies."""
    suffix = out.suffix.lower() if out is not None else ""
    kinds = {file_format.suffix: kind for kind, file_format in FORMATS.items()}
    if suffix in kinds:
        return kinds[suffix]
    # "v1.2" is a folder; `destination` refuses ".safetensors" with a better message.
    if out is None or out.is_dir() or suffix[1:].isdigit() or suffix in _suffixes():
        return "safetensors"
    suffixes = sorted(filter(None, kinds))
    raise UsageError(
        f"--out {out}: no export format has the suffix '{suffix}'",
        f"{did_you_mean(suffix, suffixes)}; for a folder of that name, with weights and {CONFIG}: `--format safetensors`",
    )


def _suffixes() -> list[str]:
    return [Path(WEIGHTS).suffix, *(file_format.suffix for file_format in FORMATS.values() if file_format.suffix)]
