"""PyTorch's own optimizers, under the names and defaults they have there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, optim

from ganlab_optimizers.epsilon_hat import EpsilonHatAdam
from ganlab_optimizers.fused_adam import Adam

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Parameters = Iterable[Tensor]


def adam(
    parameters: Parameters,
    *,
    lr: Rate = 1e-3,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.0,
    amsgrad: bool = False,
    epsilon_hat: bool = False,
    decay: NotNegative = 0.0,
) -> optim.Optimizer:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980).

    Options:
        lr: step size.
        betas: decay rates of the averages of the gradient and of its square.
        eps: added to the root of the second average.
        weight_decay: L2 penalty, added to the gradient.
        amsgrad: use the greatest second average so far (Reddi et al. 2018).
        epsilon_hat: add eps before the bias correction, as TensorFlow and Keras do.
        decay: divide lr by 1 + decay * (steps already taken), as Keras did; with epsilon_hat only.
    """
    common: dict[str, Any] = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad, "fused": True}
    if epsilon_hat:
        return EpsilonHatAdam(parameters, decay=decay, **common)
    if decay:
        raise ValueError("decay belongs to epsilon_hat = true (Keras' form of Adam); set that, or remove decay")
    return Adam(parameters, **common)


def adamw(
    parameters: Parameters,
    *,
    lr: Rate = 1e-3,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 1e-2,
    amsgrad: bool = False,
) -> optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101).

    Options:
        lr: step size.
        betas: decay rates of the averages of the gradient and of its square.
        eps: added to the root of the second average.
        weight_decay: share of the weights that each step takes off, times lr.
        amsgrad: use the greatest second average so far.
    """
    return optim.AdamW(parameters, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, fused=True)


def sgd(
    parameters: Parameters,
    *,
    lr: Rate = 1e-2,
    momentum: Beta = 0.0,
    dampening: NotNegative = 0.0,
    weight_decay: NotNegative = 0.0,
    nesterov: bool = False,
) -> optim.Optimizer:
    """Stochastic gradient descent: w -= lr * dw, with momentum if wanted.

    Options:
        lr: step size.
        momentum: decay rate of the velocity; 0 has none.
        dampening: share of the gradient kept out of the velocity.
        weight_decay: L2 penalty, added to the gradient.
        nesterov: look ahead along the velocity; needs momentum, and no dampening.
    """
    return optim.SGD(parameters, lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov, fused=True)


def adagrad(
    parameters: Parameters, *, lr: Rate = 1e-2, lr_decay: NotNegative = 0.0, weight_decay: NotNegative = 0.0, eps: NotNegative = 1e-10
) -> optim.Optimizer:
    """Adagrad (Duchi, Hazan and Singer 2011): each weight's step shrinks with its gradients so far.

    On a GPU the host waits for it once a turn, to know whether numbers are finite: it cannot withhold a step there itself, as Adam can.

    Options:
        lr: step size.
        lr_decay: divide lr by 1 + lr_decay * (steps already taken).
        weight_decay: L2 penalty, added to the gradient.
        eps: added to the root of the summed squares.
    """
    return optim.Adagrad(parameters, lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)


def rmsprop(
    parameters: Parameters,
    *,
    lr: Rate = 1e-2,
    alpha: Beta = 0.99,
    eps: NotNegative = 1e-8,
    weight_decay: NotNegative = 0.0,
    momentum: Beta = 0.0,
    centered: bool = False,
) -> optim.Optimizer:
    """RMSprop (Hinton 2012, lecture 6e), the optimizer of the first Wasserstein GAN.

    On a GPU the host waits for it once a turn, to know whether numbers are finite: it cannot withhold a step there itself, as Adam can.

    Options:
        lr: step size.
        alpha: decay rate of the average of squared gradients.
        eps: added to its root.
        weight_decay: L2 penalty, added to the gradient.
        momentum: decay rate of the velocity; 0 has none.
        centered: divide by the estimated variance in place of the second moment.
    """
    return optim.RMSprop(parameters, lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered)
