"""What every room shares: settings, the user's problem, tasks, encoding, histograms and metrics. It keeps no state."""

from penumbra.core.system.lean_imports import spare_sqlalchemy

spare_sqlalchemy()
