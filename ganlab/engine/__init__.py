"""The engine: THE loop, and what it needs. It knows players, turns and hooks, and no plugin by name."""
