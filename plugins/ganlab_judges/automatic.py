"""The judge ``automatic``, which chooses another one by the data."""

from __future__ import annotations

from ganlab.errors import GanlabError
from ganlab.evaluation import Judge, JudgeSpec
from ganlab_judges.classifier import classifier
from ganlab_judges.inception import inception
from ganlab_judges.random_network import random_network


def automatic(spec: JudgeSpec) -> Judge:
    """The judge that fits the data: ``inception`` for colour images, ``classifier`` for labelled ones, ``random_network`` for others.

    Without torch-fidelity, or without Inception's weights, colour images are judged like others, and a message says so.
    """
    if spec.data.shape[0] == 3:
        try:
            return inception(spec)
        except GanlabError as error:
            other = "classifier" if len(spec.data.class_names) > 1 else "random_network"
            spec.tell(f"Colour images are judged by '{other}', because {error.message}. {error.hint}".strip())
    return classifier(spec) if len(spec.data.class_names) > 1 else random_network(spec)
