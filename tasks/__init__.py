"""The steps: one folder for each, maths in pure functions, a thin task around them."""

import os

# Threads that wait for one another spin, unless told to sleep, and on a machine with other work (a second worker, a server) they
# spin away the time that the others need: an audit then took ten times as long. OpenMP reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
