"""What flows leave in the environment of their steps."""

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_no_step_has_the_api_keys():
    code = "import os, flows.steps; print([name for name in os.environ if 'KEYS__' in name])"
    environ = {**os.environ, "PENUMBRA_KEYS__ADMIN": "a-key-of-an-admin"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
