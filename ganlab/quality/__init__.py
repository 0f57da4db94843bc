"""How good samples are: the evaluator that runs and ``ganlab evaluate`` share."""
