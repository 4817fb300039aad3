"""The measures as they are."""

from penumbra.features import Number

FEATURES = tuple(Number(name) for name in ("alcohol", "malic_acid", "od280/od315_of_diluted_wines", "proline"))
