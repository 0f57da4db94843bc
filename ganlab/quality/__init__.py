"""The quality of samples: the evaluator that runs and ``ganlab evaluate`` share."""
