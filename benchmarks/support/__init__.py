"""What the benchmark commands share. Nothing in here imports torch: a parent process stays small, and starts children."""
