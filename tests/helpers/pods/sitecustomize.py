"""Imported by Python at its start, by way of PYTHONPATH: a task of a flow works in a folder of its own, which is empty.

That stands for a pod: what a task finds of earlier ones came by way of what machines share.
"""

import os
import sys
import tempfile

if "step" in sys.orig_argv and "PODS_FOLDER" in os.environ:
    metaflow = os.path.abspath(".metaflow")  # its datastore, which cards look for here
    name = sys.orig_argv[sys.orig_argv.index("step") + 1]
    os.chdir(tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ["PODS_FOLDER"]))
    os.symlink(metaflow, ".metaflow")
