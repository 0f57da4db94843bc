"""Optimistic gradient descent: 2 g(t) - g(t-1), which does not circle the equilibrium (Daskalakis et al. 2017, arXiv:1711.00141)."""

import torch

import ganlab


class OptimisticSGD(torch.optim.SGD):
    """Plain descent along the gradient that is to be expected next."""

    def __init__(self, parameters, *, lr: float = 0.01):
        super().__init__(parameters, lr=lr)

    def step(self, closure=None):
        for p in (p for group in self.param_groups for p in group["params"] if p.grad is not None):
            gradient, previous = p.grad, self.state[p].get("previous", p.grad)
            self.state[p]["previous"], p.grad = gradient.clone(), 2 * gradient - previous
        return super().step(closure)


@ganlab.hookimpl
def register_optimizers(register):
    register("optimistic_sgd", OptimisticSGD)
