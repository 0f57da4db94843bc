"""What plugins bring: the catalogue of components and tricks, their options, and the checks of their implementations."""
