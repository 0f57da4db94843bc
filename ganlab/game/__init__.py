"""The game: the loop of adversarial training and what it needs. No folder, no clock, no terminal, no run."""
