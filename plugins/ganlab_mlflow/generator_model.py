"""The generator as MLflow loads it: the model is this file and ``generator.safetensors``, without pickle.

MLflow copies this file into each model that it logs and runs that copy. So it imports no module of this package.

Input, a table that asks for samples in one of two ways:

- column ``latent``: in each row a list of numbers, the latent of one sample, flattened;
- columns ``count`` and ``seed``: for each row ``count`` samples of latents drawn with that seed (0 if left out).

Output: an array ``(samples, *data shape)``, in the data's range, equal to ``ganlab.load_generator(file).sample(count, seed)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

if TYPE_CHECKING:
    import numpy as np
    import torch


class Generator(PythonModel):  # type: ignore[misc]
    """Samples from a trained generator, on the CPU."""

    def load_context(self, context: PythonModelContext) -> None:
        import ganlab

        self.generator = ganlab.load_generator(context.artifacts["generator"])

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def] # MLflow makes a schema of types
        """Return the samples of all rows, one after the other: ``(samples, *data shape)``.

        Raises:
            ValueError: the table asks for nothing, or in both ways.
        """
        import torch

        columns = [name for name in ("latent", "count") if name in model_input.columns]
        if len(columns) != 1 or model_input.empty:
            raise ValueError("ask for samples by rows of 'count' and 'seed', or by rows of 'latent'")
        with torch.no_grad():
            if columns == ["latent"]:
                samples = self._from_latents(model_input["latent"].tolist())
            else:
                seeds = model_input.get("seed", [0] * len(model_input))
                samples = torch.cat(
                    [self.generator.sample(int(count), int(seed)) for count, seed in zip(model_input["count"], seeds, strict=True)]
                )
        array: np.ndarray = samples.numpy()
        return array

    def _from_latents(self, latents: list[Any]) -> torch.Tensor:
        import torch

        like = self.generator.noise.sample(1, torch.Generator(), torch.device("cpu"), next(self.generator.parameters()).dtype)
        samples: torch.Tensor = self.generator(
            torch.tensor([list(latent) for latent in latents], dtype=like.dtype).reshape(-1, *like.shape[1:])
        )
        return samples


set_model(Generator())
