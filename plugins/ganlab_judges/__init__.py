"""First-party judges: the networks that look at images for the metrics."""

from __future__ import annotations

import ganlab
from ganlab.hookspecs import Register
from ganlab_judges.automatic import automatic
from ganlab_judges.classifier import classifier
from ganlab_judges.inception import inception
from ganlab_judges.random_network import random_network


@ganlab.hookimpl
def register_judges(register: Register) -> None:
    for factory in (automatic, classifier, inception, random_network):
        register(factory.__name__, factory)
