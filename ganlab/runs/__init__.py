"""A run alive: built, trained, saved, resumed, rescued."""
