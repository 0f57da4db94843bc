"""A judge whose errors name the plugin that it comes from."""

from __future__ import annotations

from torch import Tensor

from ganlab.errors import PluginError
from ganlab.evaluation import Judge
from ganlab.game.blame import blamed


class AttributedJudge:
    """Wraps a judge: an exception in one of its methods becomes a PluginError that names its owner.

    Args:
        judge: an instance, as its factory returned it.
        owner: the judge and its plugin, for error messages.

    Attributes:
        instance: the wrapped judge.

    Raises:
        PluginError: the judge lacks an attribute of :class:`ganlab.evaluation.Judge`.
    """

    def __init__(self, judge: Judge, owner: str) -> None:
        for name in ("description", "identity", "classes", "features"):
            if not hasattr(judge, name):
                raise PluginError(f"{owner} has no `{name}`", "see ganlab.evaluation.Judge, or `docs/evaluation.md`, for the protocol")
        self.instance, self._owner = judge, owner
        self.description, self.identity, self.classes = judge.description, judge.identity, judge.classes
        if hasattr(judge, "classify"):
            self.classify = self._classify

    def features(self, images: Tensor) -> Tensor:
        """As :meth:`ganlab.evaluation.Judge.features`."""
        with blamed(self._owner):
            return self.instance.features(images)

    def probabilities(self, images: Tensor) -> Tensor:
        """As :meth:`ganlab.evaluation.Judge.probabilities`."""
        with blamed(self._owner):
            return self.instance.probabilities(images)

    def _classify(self, features: Tensor) -> Tensor:
        with blamed(self._owner):
            probabilities: Tensor = self.instance.classify(features)  # type: ignore[attr-defined]
            return probabilities
