"""Write and read a generator as a program that runs without ganlab: a ``.pt2`` file of torch.export, or an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from ganlab.generators.exported_folder import CONFIG, config_of
from ganlab.generators.loaded import LoadedGenerator
from ganlab.generators.sampling import SampleFunction
from ganlab.generators.verification import fixed_inputs

ERRORS_ONLY = 3  # log severity of onnxruntime


def write_torch(generator: LoadedGenerator, path: Path) -> None:
    """Write a ``.pt2`` file. It contains the generator's config as the extra file ``config.json``."""
    program, _inputs = _export(generator)
    torch.export.save(program, path, extra_files={CONFIG: json.dumps(config_of(generator.network, generator.info))})


def read_torch(path: Path) -> SampleFunction:
    """Load a ``.pt2`` file."""
    module = torch.export.load(path).module()

    def run(latent: Tensor, labels: Tensor | None) -> Tensor:
        samples: Tensor = module(latent) if labels is None else module(latent, labels)
        return samples.detach()

    return run


def write_onnx(generator: LoadedGenerator, path: Path) -> None:
    """Write an ONNX file. Its metadata contain the generator's config under ``"ganlab"``."""
    program, inputs = _export(generator)
    onnx_program = torch.onnx.export(
        program,
        inputs,
        dynamo=True,
        input_names=["latent", "labels"][: len(inputs)],
        output_names=["samples"],
        verbose=False,
    )
    assert onnx_program is not None
    onnx_program.model.metadata_props["ganlab"] = json.dumps(config_of(generator.network, generator.info))
    onnx_program.save(path, external_data=False)


def read_onnx(path: Path) -> SampleFunction:
    """Load an ONNX file into onnxruntime, on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(latent: Tensor, labels: Tensor | None) -> Tensor:
        inputs = {"latent": latent.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
        return torch.from_numpy(session.run(["samples"], inputs)[0])

    return run


def _export(generator: LoadedGenerator) -> tuple[torch.export.ExportedProgram, tuple[Tensor, ...]]:
    """Export the generator for any batch size with torch.export. Returns the program, and the inputs that it was traced with."""
    latent, labels = fixed_inputs(generator, 2)
    inputs = (latent,) if labels is None else (latent, labels)
    batch = torch.export.Dim("batch", min=1)
    shapes = tuple({0: batch} for _ in inputs)
    program = torch.export.export(generator, inputs, dynamic_shapes=shapes)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # it contains paths of this machine
    return program, inputs
