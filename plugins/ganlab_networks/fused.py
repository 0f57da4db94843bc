"""A whole multi-layer perceptron as one node of autograd: the same operations in the same order, without what torch does between them.

Each kind of layer says how it is computed forward, what it must remember, and how gradients go back through it. What it remembers is
what torch's own layers would; results are overwritten in place where nothing needs what was there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _has_any_global_hook

from ganlab_networks.dropout import PackedDropout, draw
from ganlab_networks.normalization import BiasedBatchNorm1d
from ganlab_networks.products import TORCH, Products, for_float32

aten = torch.ops.aten

Kept = tuple[Tensor, ...]  # what a layer remembers of its way forward
Gradients = tuple[Tensor | None, ...]  # of the input, then of the parameters


@dataclass
class Way:
    """How far a computation has come, and how the layers go on.

    Attributes:
        products: how matrices are multiplied.
        masks: of the layers of dropout, in order.
        own: whether the last result is this computation's own, and nothing remembers it: then it may be overwritten.
        following: the layer after the one that is computed.
        activated: whether the last result is that of the next layer, an activation, already.
    """

    products: Products
    masks: Iterator[Tensor]
    own: bool = False
    following: nn.Module | None = None
    activated: bool = False


@dataclass(frozen=True)
class Kind:
    """One kind of layer.

    Attributes:
        forward: of the layer, its input and the way: the result and what to remember.
        backward: of the layer, the gradient of its result, what it remembered, the way, and which gradients are wanted.
        again: the layer by operations that autograd knows, of its input, its parameters and what it remembered; to differentiate twice.
        parameters: their names, in the order in which they are handed around.
    """

    forward: Callable[[Any, Tensor, Way], tuple[Tensor, Kept]]
    backward: Callable[[Any, Tensor, Kept, Way, Sequence[bool]], Gradients]
    again: Callable[[Any, Tensor, Sequence[Tensor], Kept], Tensor]
    parameters: tuple[str, ...] = ()


def _linear(layer: nn.Linear, x: Tensor, way: Way) -> tuple[Tensor, Kept]:
    weight, bias = cast(tuple[Tensor, Tensor], layer._parameters.values())  # a microsecond less than by their names
    y, way.activated = way.products.linear(x, weight, bias, way.following)
    way.own = True
    return y, (x, weight)


def _linear_back(layer: nn.Linear, grad: Tensor, kept: Kept, way: Way, wanted: Sequence[bool]) -> Gradients:
    x, weight = kept
    return (
        way.products.input_gradient(grad, weight) if wanted[0] else None,
        way.products.weight_gradient(grad, x) if wanted[1] else None,
        grad.sum(0) if wanted[2] else None,
    )


def _activation(
    compute: Callable[[Any, Tensor], Tensor], back: Callable[[Any, Tensor, Tensor], Tensor], in_place: Callable[[Any, Tensor], Tensor]
) -> Kind:
    """An activation whose gradient follows from its result."""

    def forward(layer: nn.Module, x: Tensor, way: Way) -> tuple[Tensor, Kept]:
        y = x if way.activated else in_place(layer, x) if way.own else compute(layer, x)
        way.own = way.activated = False  # it is remembered
        return y, (y,)

    def backward(layer: nn.Module, grad: Tensor, kept: Kept, way: Way, wanted: Sequence[bool]) -> Gradients:
        return (back(layer, grad, kept[0]),)

    return Kind(forward, backward, lambda layer, x, parameters, kept: compute(layer, x))


def _dropout(layer: PackedDropout, x: Tensor, way: Way) -> tuple[Tensor, Kept]:
    if not layer.training:
        return x, ()
    mask = next(way.masks)
    way.own = True
    return x * mask, (mask,)


def _dropout_back(layer: PackedDropout, grad: Tensor, kept: Kept, way: Way, wanted: Sequence[bool]) -> Gradients:
    return (grad * kept[0] if kept else grad,)


def _batch_norm(layer: nn.BatchNorm1d, x: Tensor, way: Way) -> tuple[Tensor, Kept]:
    if layer.training:
        nn.functional._verify_batch_size(list(x.shape))  # type: ignore[attr-defined] # one sample has no variance
    if layer.training and layer.track_running_stats and isinstance(layer, BiasedBatchNorm1d):
        batch = layer.of_batch()
        y, mean, scale = torch.native_batch_norm(x, layer.weight, layer.bias, *batch, True, 1.0, layer.eps)
        layer.move(*batch, len(x))
        running: tuple[Tensor | None, ...] = ()
    else:
        running = _running(layer)
        y, mean, scale = torch.native_batch_norm(x, layer.weight, layer.bias, *running, layer.training, layer.momentum or 0.0, layer.eps)
    way.own = True
    return y, (x, layer.weight, mean, scale, *(part for part in running if part is not None))


def _running(layer: nn.BatchNorm1d) -> tuple[Tensor | None, Tensor | None]:
    """The running statistics that torch is to use or to move, as the layer's ``forward`` has it."""
    if layer.training and not layer.track_running_stats:
        return None, None
    if layer.training and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    return layer.running_mean, layer.running_var


def _batch_norm_back(layer: nn.BatchNorm1d, grad: Tensor, kept: Kept, way: Way, wanted: Sequence[bool]) -> Gradients:
    x, weight, mean, scale, *running = kept
    running_mean, running_var = running or (None, None)
    found: Gradients = aten.native_batch_norm_backward(
        grad, x, weight, running_mean, running_var, mean, scale, _by_batch(kept), layer.eps, list(wanted)
    )
    return found


def _batch_norm_again(layer: nn.BatchNorm1d, x: Tensor, parameters: Sequence[Tensor], kept: Kept) -> Tensor:
    mean, variance = (None, None) if _by_batch(kept) else kept[4:]
    weight, bias = parameters
    return nn.functional.batch_norm(x, mean, variance, weight, bias, training=_by_batch(kept), eps=layer.eps)


def _by_batch(kept: Kept) -> bool:
    """Whether the batch's own statistics were used: only then are there any to remember."""
    return kept[2].numel() > 0


_WEIGHT_AND_BIAS = ("weight", "bias")
_BATCH_NORM = Kind(_batch_norm, _batch_norm_back, _batch_norm_again, _WEIGHT_AND_BIAS)
KINDS: dict[type[nn.Module], Kind] = {
    nn.Linear: Kind(_linear, _linear_back, lambda layer, x, parameters, kept: nn.functional.linear(x, *parameters), _WEIGHT_AND_BIAS),
    PackedDropout: Kind(_dropout, _dropout_back, lambda layer, x, parameters, kept: x * kept[0] if kept else x),
    nn.BatchNorm1d: _BATCH_NORM,
    BiasedBatchNorm1d: _BATCH_NORM,
    nn.LeakyReLU: _activation(
        lambda layer, x: nn.functional.leaky_relu(x, layer.negative_slope),
        lambda layer, grad, y: aten.leaky_relu_backward.default(grad, y, layer.negative_slope, True),
        lambda layer, x: aten.leaky_relu_.default(x, layer.negative_slope),
    ),
    nn.ReLU: _activation(
        lambda layer, x: x.relu(), lambda layer, grad, y: aten.threshold_backward.default(grad, y, 0), lambda layer, x: x.relu_()
    ),
    nn.Tanh: _activation(lambda layer, x: x.tanh(), lambda layer, grad, y: aten.tanh_backward.default(grad, y), lambda layer, x: x.tanh_()),
    nn.Sigmoid: _activation(
        lambda layer, x: x.sigmoid(), lambda layer, grad, y: aten.sigmoid_backward.default(grad, y), lambda layer, x: x.sigmoid_()
    ),
}


def fusible(layers: nn.Sequential, x: Tensor) -> bool:
    """Whether ``layers(x)`` can be computed as one step: else torch must call each layer.

    It can be on a CPU, if all layers are of kinds that are known here, and neither a hook looks on at one of them nor something that
    looks into torch's operations: mixed precision, a compiler, ``torch.func``, forward-mode differentiation.
    """
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return False
    if torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0:
        return False
    if torch._C._get_tracing_state() is not None or _has_any_global_hook():  # type: ignore[no-untyped-call]
        return False
    every = layers._modules.values()
    return all(map(_known, every)) and not any(map(_watched, (layers, *every)))


def _known(layer: Any) -> bool:
    """Whether it is of a known kind, its parameters in order: where a normalization of weights was taken off, they may not be."""
    kind = KINDS.get(type(layer))
    return kind is not None and tuple(layer._parameters) == kind.parameters


def _watched(layer: Any) -> bool:
    return bool(layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks or layer._backward_pre_hooks)


PLAIN = 3  # of FusedMLP's arguments are no tensors


class FusedMLP(torch.autograd.Function):
    """Layers in sequence, forward and backward, of one pass or of several in one go. The parameters are the layers', in order."""

    @staticmethod
    def forward(ctx: Any, layers: tuple[nn.Module, ...], way: Way, passes: int, x: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        y, kept = _through(layers, way, x)
        ctx.layers, ctx.way, ctx.counts = layers, way, [len(remembered) for remembered in kept]
        ctx.save_for_backward(x, *parameters, *itertools.chain.from_iterable(kept))
        return _of_each_pass(y, passes)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Gradients:
        counts = [len(layer._parameters) for layer in ctx.layers]
        x, *rest = ctx.saved_tensors
        parameters, kept = rest[: sum(counts)], _in_parts(rest[sum(counts) :], ctx.counts)
        grad = grads[0] if len(grads) == 1 else torch.cat(grads)
        if torch.is_grad_enabled():  # a gradient penalty differentiates the gradient
            return *[None] * PLAIN, *_twice(ctx, x, _in_parts(parameters, counts), kept, grad)
        wanted = _in_parts(ctx.needs_input_grad[PLAIN + 1 :], counts)
        found: list[tuple[Tensor | None, ...]] = []
        needed: Tensor | None = grad
        for number in range(len(ctx.layers) - 1, -1, -1):
            layer, first = ctx.layers[number], number == 0
            assert needed is not None
            asked = (not first or ctx.needs_input_grad[PLAIN], *wanted[number])
            needed, *own = KINDS[type(layer)].backward(layer, needed, kept[number], ctx.way, asked)
            found.append(tuple(own))
        return *[None] * PLAIN, needed, *itertools.chain.from_iterable(reversed(found))


def _through(layers: tuple[nn.Module, ...], way: Way, x: Tensor) -> tuple[Tensor, list[Kept]]:
    """The layers' result, and what each of them remembers."""
    kept, y = [], x
    for layer, way.following in zip(layers, (*layers[1:], None), strict=True):
        y, remembered = KINDS[type(layer)].forward(layer, y, way)
        kept.append(remembered)
    return y, kept


def _of_each_pass(y: Tensor, passes: int) -> tuple[Tensor, ...]:
    """The passes' results apart; tensors of their own, as views of one must not be changed in place, which tricks may do."""
    return (y,) if passes == 1 else tuple(part.clone() for part in y.chunk(passes))


def _in_parts(items: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    """``items`` in groups of so many.

    >>> _in_parts("abc", [1, 0, 2])
    ['a', '', 'bc']
    """
    ends = list(itertools.accumulate(counts, initial=0))
    return [items[start:end] for start, end in itertools.pairwise(ends)]


def _twice(ctx: Any, x: Tensor, parameters: list[Any], kept: list[Any], grad: Tensor) -> list[Tensor | None]:
    """The gradients by operations that autograd knows, so that they can be differentiated: computed anew with the same masks."""
    y = x
    for layer, own, remembered in zip(ctx.layers, parameters, kept, strict=True):
        y = KINDS[type(layer)].again(layer, y, own, remembered)
    inputs = [x, *(one for own in parameters for one in own)]
    wanted = [place for place in range(len(inputs)) if ctx.needs_input_grad[PLAIN + place]]
    found = torch.autograd.grad(y, [inputs[place] for place in wanted], grad, create_graph=True, allow_unused=True)
    every: list[Tensor | None] = [None] * len(inputs)
    for place, one in zip(wanted, found, strict=True):
        every[place] = one
    return every


def separable(layers: nn.Sequential) -> bool:
    """Whether each sample of a batch is computed by itself, whatever else is in the batch."""
    return not any(isinstance(layer, nn.BatchNorm1d) for layer in layers)


def fused(layers: nn.Sequential, x: Tensor, passes: int = 1, begin: Callable[[int], None] | None = None) -> tuple[Tensor, ...]:
    """What ``layers(x)`` is, pass by pass: ``(batch, inputs)`` to ``(batch of a pass, outputs)`` each. See :func:`fusible`.

    Args:
        passes: how many passes of equally many samples each the batch is made of. More than one must be :func:`separable`.
        begin: called before the random numbers of a pass are drawn, with the number of the pass, from 0.
    """
    every = tuple(layers._modules.values())
    way = Way(for_float32() if x.dtype == torch.float32 else TORCH, iter(_masks(every, x, passes, begin)))
    if not torch.is_grad_enabled():
        return _of_each_pass(_through(every, way, x)[0], passes)
    results: tuple[Tensor, ...] = FusedMLP.apply(every, way, passes, x, *[one for layer in every for one in layer._parameters.values()])
    return results


def _masks(layers: Sequence[nn.Module], x: Tensor, passes: int, begin: Callable[[int], None] | None) -> list[Tensor]:
    """Those of all layers of dropout that are at work, ``(batch, units)`` each: the numbers that passes one after the other would draw."""
    rows, width = x.shape[0] // passes, x.shape[1]
    found: list[tuple[PackedDropout, int]] = []  # and how many units a sample has there
    for layer in layers:
        width = layer.out_features if isinstance(layer, nn.Linear) else width
        if isinstance(layer, PackedDropout) and layer.training:
            found.append((layer, width))
    if not found:
        return []
    counts = [layer.words(rows * units) for layer, units in found]
    words = torch.empty(passes, sum(counts), dtype=torch.int64, device=x.device)
    for number, of_pass in enumerate(words.unbind()):
        if begin is not None:
            begin(number)
        draw(of_pass)
    parts = zip(found, torch.split(words, counts, dim=1), strict=True)
    return [layer.mask_of(part, rows * units, x.dtype).reshape(x.shape[0], units) for (layer, units), part in parts]
