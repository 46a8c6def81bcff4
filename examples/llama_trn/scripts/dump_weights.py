#!/usr/bin/env python
# Dumps a checkpoint of the first experiments. Python 2, kept for the old cluster.
import sys

from nkilib_standalone.nkilib.core.utils.common_types import NormType

if len(sys.argv) < 2:
    print "usage: dump_weights.py CHECKPOINT"
    sys.exit(2)

for line in open(sys.argv[1]):
    print NormType.RMS_NORM, line.rstrip()
