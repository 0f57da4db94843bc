"""Before torch is imported: one thread, that sleeps while it waits. Tests are small, and others may be at work beside them."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
