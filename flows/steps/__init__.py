"""What the steps of the flows call: a package a flow, and beside them what flows have in common.

Flows check no API keys, so none is left in the environment of steps, candidates and all that they start. Their
processes end without a last search for garbage in all that was imported, which takes the better part of a second.
"""

import atexit
import gc
import os

import penumbra.registry  # noqa: F401  before MLflow, of which it defers what nothing takes
from penumbra.core.settings import API_KEY_PREFIX

for _name in [name for name in os.environ if name.startswith(API_KEY_PREFIX)]:
    del os.environ[_name]

atexit.register(gc.freeze)

# Names the file that a flow which stops writes its reason to. (What begins with PENUMBRA_ would be a setting.)
REASON_VARIABLE = "FLOW_REASON_FILE"
# Names the file for what a flow ends with, which the command that started it prints below the flow's log.
RESULT_VARIABLE = "FLOW_RESULT_FILE"
# Names the folder with what the command that starts an experiment has prepared, for its first step to take.
PREPARED_VARIABLE = "FLOW_PREPARED_FOLDER"
