"""The game: the loop of adversarial training and everything that a step needs. Knows no folders, no clock and no terminal."""
