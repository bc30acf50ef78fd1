"""What holds for all tests."""

import os

# An encoder of an extra takes seconds to open: the tests that are about one switch it on.
os.environ["LABELSWEEP_ENCODER"] = "none"
