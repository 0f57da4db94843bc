"""The generator as MLflow loads it: this file and ``generator.safetensors`` are the model, and no pickle.

MLflow copies this file into each model that it logs and runs that copy: so it imports nothing that lies beside it.

Input, a table that asks for samples in one of two ways:

- column ``latent``: in each row a list of numbers, the noise that one sample is made from (flat, where the noise has a shape);
- columns ``count`` and ``seed``: so many samples for each row, of noise drawn with that seed (0 if left out).

Output: an array ``(samples, *data shape)``, in the data's range, as ``ganlab.load_generator(file).sample(count, seed)`` has it.
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
        """The samples that the rows ask for, one after the other: ``(samples, *data shape)``.

        Raises:
            ValueError: the table asks for nothing, or in both ways.
        """
        import torch

        asked = [name for name in ("latent", "count") if name in model_input.columns]
        if len(asked) != 1 or model_input.empty:
            raise ValueError("ask for samples by rows of 'count' and 'seed', or by rows of 'latent'")
        with torch.no_grad():
            if asked == ["latent"]:
                made = self._from_latents(model_input["latent"].tolist())
            else:
                seeds = model_input.get("seed", [0] * len(model_input))
                made = torch.cat(
                    [self.generator.sample(int(count), int(seed)) for count, seed in zip(model_input["count"], seeds, strict=True)]
                )
        array: np.ndarray = made.numpy()
        return array

    def _from_latents(self, latents: list[Any]) -> torch.Tensor:
        import torch

        like = self.generator.noise.sample(1, torch.Generator(), torch.device("cpu"), next(self.generator.parameters()).dtype)
        samples: torch.Tensor = self.generator(
            torch.tensor([list(latent) for latent in latents], dtype=like.dtype).reshape(-1, *like.shape[1:])
        )
        return samples


set_model(Generator())
