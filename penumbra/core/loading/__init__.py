"""Loading of the project: `problem/`, what stands for what it leaves out, and that settings fit it."""

from penumbra.core.system.lean_imports import import_lean

import_lean("dataframely")  # before anything else imports it, and SQLAlchemy with it
