"""Top-k training: G learns from those of its samples that D finds best, and forgets the rest (Sinha et al. 2020, arXiv:2002.06224)."""

import ganlab


class TopK:
    """In G's turn keep the better half of the scores: each lane's own, over dim 0."""

    @ganlab.hookimpl
    def after_scores(self, turn):
        if turn.role == "generator":
            turn.fake_scores = turn.fake_scores.topk(len(turn.fake_scores) // 2, dim=0).values
