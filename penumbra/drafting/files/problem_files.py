"""All files of a first `problem/`."""

from collections.abc import Mapping

from penumbra.core.text.quoting import escape_text
from penumbra.drafting.draft import ProblemDraft
from penumbra.drafting.files.candidates_file import render_candidates
from penumbra.drafting.files.feature_files import render_features, render_slices
from penumbra.drafting.files.schema_file import render_schema
from penumbra.drafting.files.source_file import render_source

PURPOSE = '''# The card of each model version begins with this text.
"""What is predicted, from what: {}.

Intended use: not written yet. Who decides what by the predictions, and for whom?

Not for: not written yet. Where would they mislead?

Collection: not written yet. How did the rows come about, and who is missing among them?
"""
'''


def render_problem(draft: ProblemDraft) -> Mapping[str, str]:
    """Write the files of `problem/` for a draft.

    Args:
        draft: The draft.

    Returns:
        The text of each file, by its name, formatted.
    """
    files = {
        "__init__.py": PURPOSE.format(escape_text(draft.target.column).replace("\\", "/")),
        "schema.py": render_schema(draft),
        "source.py": render_source(draft),
        "features.py": render_features(draft),
        "candidates.py": render_candidates(draft),
        "slices.py": render_slices(draft),
    }
    return {name: text for name, text in files.items() if text}
