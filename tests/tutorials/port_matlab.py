"""T1, the MATLAB GAN with hand-written backpropagation, from the reading of the tutorial alone: NumPy, nothing of ganlab."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tape import Tape

Array = NDArray[np.floating[Any]]


def sigmoid(values: Array) -> Array:
    """1 / (1 + exp(-values)), without overflow."""
    return np.exp(-np.logaddexp(0, -values))


def cross_entropy(logits: Array, labels: Array) -> float:
    """The mean of the true sigmoid cross-entropy, which is what is logged whatever the derivative."""
    return float(np.mean(np.logaddexp(0, logits) - labels * logits))


def exact(logits: Array, labels: Array) -> Array:
    """The derivative of each row's sigmoid cross-entropy with respect to its logit."""
    return sigmoid(logits) - labels


def published(logits: Array, labels: Array) -> Array:
    """What the published code computes in its place: wrong for x > 0, -y at x = 0, right for x < 0."""
    return np.where(logits > 0, 2 - sigmoid(logits), np.where(logits < 0, sigmoid(logits), 0)) - labels


class Updates:
    """Adam in the eps-hat form, betas (0.9, 0.999), eps 1e-8; or "w -= lr*dw, everything else equal"."""

    def __init__(self, parameters: list[Array], optimizer: str, lr: float) -> None:
        self.parameters, self.optimizer, self.lr, self.t = parameters, optimizer, lr, 0
        self.m, self.v = ([np.zeros_like(parameter) for parameter in parameters] for _ in range(2))

    def step(self, gradients: list[Array]) -> None:
        """One update, in place."""
        self.t += 1
        lr_t = self.lr * np.sqrt(1 - 0.999**self.t) / (1 - 0.9**self.t)
        for i, (w, dw) in enumerate(zip(self.parameters, gradients, strict=True)):
            if self.optimizer == "sgd":
                w -= self.lr * dw
            else:
                self.m[i] = 0.9 * self.m[i] + (1 - 0.9) * dw
                self.v[i] = 0.999 * self.v[i] + (1 - 0.999) * dw**2
                w -= lr_t * self.m[i] / (np.sqrt(self.v[i]) + 1e-8)


class MatlabPort:
    """T1. G: Linear layers, ReLU between, sigmoid. D: Linear layers, ReLU between, a logit. ``lr`` is 1e-3 for Adam and 0.01 for SGD."""

    def __init__(
        self,
        generator: list[Array],
        discriminator: list[Array],
        *,
        optimizer: Literal["adam", "sgd"] = "adam",
        lr: float | None = None,
        derivative: Literal["exact", "published"] = "exact",
    ) -> None:
        lr = {"adam": 1e-3, "sgd": 0.01}[optimizer] if lr is None else lr
        self.derivative = {"exact": exact, "published": published}[derivative]
        self.generator = [np.array(parameter) for parameter in generator]
        self.discriminator = [np.array(parameter) for parameter in discriminator]
        self._update_generator = Updates(self.generator, optimizer, lr)
        self._update_discriminator = Updates(self.discriminator, optimizer, lr)

    def step(self, tape: Tape) -> dict[str, float]:
        """(1) G; (2) D on the same z through the updated G, in one pass over [fake; real], the mean being over all rows."""
        z = np.asarray(tape.latent())
        g_inputs, outputs = forward(self.generator, z)
        fake = sigmoid(outputs)
        d_inputs, logits = forward(self.discriminator, fake)
        ones = np.ones_like(logits)
        g_loss = cross_entropy(logits, ones)
        _, d_fake = backward(self.discriminator, d_inputs, self.derivative(logits, ones) / len(logits))  # D is fixed
        gradients, _ = backward(self.generator, g_inputs, d_fake * fake * (1 - fake))
        self._update_generator.step(gradients)

        real = np.asarray(tape.real())
        fake = sigmoid(forward(self.generator, z)[1])
        d_inputs, logits = forward(self.discriminator, np.concatenate([fake, real]))
        labels = np.ones_like(logits)
        labels[: len(fake)] = 0
        gradients, _ = backward(self.discriminator, d_inputs, self.derivative(logits, labels) / len(logits))
        self._update_discriminator.step(gradients)
        tape.finish()
        fakes_as_real = cross_entropy(logits[: len(fake)], ones)  # of the updated G, before D's update
        return {"g_loss": g_loss, "g_loss_after": fakes_as_real, "d_loss": cross_entropy(logits, labels)}

    def samples(self, latent: torch.Tensor | Array) -> torch.Tensor:
        """G's images; as a tensor, which is what every port returns."""
        return torch.from_numpy(sigmoid(forward(self.generator, np.asarray(latent))[1]))

    def logits(self, images: torch.Tensor | Array) -> torch.Tensor:
        """D's logits, as a tensor."""
        return torch.from_numpy(forward(self.discriminator, np.asarray(images))[1][:, 0])


def forward(parameters: list[Array], values: Array) -> tuple[list[Array], Array]:
    """Each layer's inputs, and the last layer's outputs before any activation."""
    inputs = [values]
    for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
        inputs.append(np.maximum(inputs[-1] @ weight.T + bias, 0))
    return inputs, inputs[-1] @ parameters[-2].T + parameters[-1]


def backward(parameters: list[Array], inputs: list[Array], delta: Array) -> tuple[list[Array], Array]:
    """From the loss's derivative at the last layer's outputs: the parameters' gradients, and the derivative at the network's inputs."""
    gradients: list[Array] = []
    for layer in reversed(range(len(inputs))):
        gradients = [delta.T @ inputs[layer], delta.sum(axis=0), *gradients]
        delta = delta @ parameters[2 * layer]
        if layer:
            delta = delta * (inputs[layer] > 0)  # ReLU: its derivative at 0 is 0
    return gradients, delta
