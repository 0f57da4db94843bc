"""A trick that counts steps, and networks that are shown labels."""

import torch
from torch import nn

import ganlab


class Count:
    """Counts steps."""

    count = 0

    @ganlab.hookimpl
    def after_step(self, run):
        self.count += 1
        run.record("mine/count", float(self.count))

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class Labelled(nn.Module):
    """One hidden layer, to which the label's embedding is added."""

    def __init__(self, spec):
        super().__init__()
        self.first, self.last = nn.Linear(spec.input_shape[0], 4), nn.Linear(4, spec.output_shape[0])
        self.embedding = nn.Embedding(spec.classes, 4)

    def forward(self, x, labels):
        return self.last(torch.relu(self.first(x) + self.embedding(labels)))


@ganlab.hookimpl
def register_tricks(register):
    register("count", Count)


@ganlab.hookimpl
def register_networks(register):
    register("labelled", Labelled)
