import os

# Tests train tiny networks, often several at once: more threads would only wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
