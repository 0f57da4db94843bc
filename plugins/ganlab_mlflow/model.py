"""Logs the generator as an MLflow model, which loads and predicts without pickle and can be registered."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from ganlab_mlflow import describe

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric
    from mlflow.models import ModelSignature

FILE = "generator.safetensors"
CODE = Path(__file__).with_name("generator_model.py")
KIND = "generator"  # MLflow's model type


class LoggedGenerator:
    """The generator of one run as an MLflow model.

    Args:
        run: the run's folder.
        info: its run.json. recipe: its resolved recipe.
    """

    def __init__(self, run: Path, info: dict[str, Any], recipe: dict[str, Any]) -> None:
        self.file, self.info, self.recipe, self.name = run / FILE, info, recipe, describe.short_name(run.name)
        header = read_header(self.file)
        self.state, self.checksum, self.step = header["state"], str(header["sha256"]), int(header["state"]["step"])

    def log(self, client: MlflowClient, experiment_id: str, run_id: str, measured: list[Metric]) -> str:
        """Log it as an output of the run, unless it is logged already. Models of other steps of the run stay.

        Args:
            client: of MLflow. experiment_id, run_id: the run in MLflow.
            measured: the run's metrics of this generator, by which models can be sorted.

        Returns:
            The model's id.
        """
        from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

        for logged in client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):
            if logged.tags.get("ganlab.checksum") == self.checksum:
                if logged.status == LoggedModelStatus.READY:
                    return str(logged.model_id)
                client.delete_logged_model(logged.model_id)  # its mirror was killed
        model = client.create_logged_model(
            experiment_id, name=self.name, source_run_id=run_id, tags=self.tags(), params=describe.parameters(self.recipe), model_type=KIND
        )
        try:
            with tempfile.TemporaryDirectory() as folder:
                self.save(Path(folder) / "model", run_id, model.model_id)
                client.log_model_artifacts(model.model_id, str(Path(folder) / "model"))
            metrics = [Metric(each.key, each.value, each.timestamp, each.step, model_id=model.model_id) for each in measured]
            if metrics:
                client.log_batch(run_id, metrics=metrics, synchronous=True)
            client.log_outputs(run_id, [LoggedModelOutput(model.model_id, self.step)])
            client.finalize_logged_model(model.model_id, "READY")
        except Exception:
            with contextlib.suppress(Exception):
                client.delete_logged_model(model.model_id)
            raise
        return str(model.model_id)

    def save(self, folder: Path, run_id: str, model_id: str) -> None:
        """Write the model into ``folder``, which is created."""
        import mlflow.pyfunc
        from mlflow.models import Model

        mlflow.pyfunc.save_model(
            str(folder),
            python_model=str(CODE),
            artifacts={"generator": str(self.file)},
            mlflow_model=Model(artifact_path=folder.name, run_id=run_id, model_uuid=model_id, model_id=model_id, metadata=self.tags()),
            signature=self.signature(),
            pip_requirements=self.requirements(),  # without them MLflow would load the model in another process to find out
        )

    def signature(self) -> ModelSignature:
        """The types and shapes of input and output."""
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import ColSpec, DataType, Schema, TensorSpec
        from mlflow.types.schema import Array

        shape = (-1, *_plain(self.state["spec"])["output_shape"])
        inputs = [
            ColSpec(DataType.long, "count", required=False),
            ColSpec(DataType.long, "seed", required=False),
            ColSpec(Array(DataType.double), "latent", required=False),
        ]
        return ModelSignature(
            Schema(inputs), Schema([TensorSpec(np.dtype(str(self.recipe.get("train", {}).get("dtype", "float32"))), shape)])
        )

    def requirements(self) -> list[str]:
        """The required packages, in the versions that the run was trained with."""
        versions = {"ganlab": self.info.get("ganlab")} | {
            name: self.info.get("versions", {}).get(name) for name in ("torch", "safetensors")
        }
        return [f"{name}=={version}" if version else name for name, version in versions.items()]

    def tags(self) -> dict[str, str]:
        """What the generator is, and which plugin files it needs: these must be installed where it is loaded."""
        tags = {
            "ganlab.checksum": self.checksum,
            "ganlab.recipe": str(self.info.get("recipe", "")),
            "ganlab.group": describe.group(self.info, self.recipe),
            "ganlab.seed": str(self.info.get("seed", "")),
            "ganlab.network": str(self.state["use"]),
            "ganlab.noise": str(self.state["noise"]["use"]),
            "ganlab.range": json.dumps(_plain(self.state["range"])),
            "ganlab.needs_plugins": ", ".join(str(copy["name"]) for copy in self.info.get("plugins", [])),
        }
        return {key: value for key, value in tags.items() if value}


def read_header(file: Path) -> dict[str, Any]:
    """Read the header of ``generator.safetensors``: ``state`` and the checksum ``sha256``. Reads no weights and imports no torch.

    Raises:
        ValueError: it is not a generator of ganlab.
    """
    try:
        with safe_open(file, "np") as content:
            header: dict[str, Any] = json.loads((content.metadata() or {})["ganlab"])
        state = header["state"]
        if not str(header["format"]).startswith("ganlab generator "):
            raise ValueError(f"its format is {header['format']}")
        _ = header["sha256"], state["use"], state["noise"]["use"], state["range"], state["step"], state["spec"]["output_shape"]
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} is not a generator of ganlab: {error!r}") from error
    return header


def _plain(value: Any) -> Any:
    """``value`` with lists in place of tuples, which ganlab writes as tables because JSON has none."""
    if isinstance(value, dict):
        return (
            [_plain(item) for item in value["items"]] if value.get("$") == "tuple" else {key: _plain(item) for key, item in value.items()}
        )
    return value
