"""The share of the keys that the canary answers."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from penumbra.core.settings import SettingsError
from penumbra.logs.append_log import encode_json
from penumbra.logs.labels import LabelSpec
from service.http.requests.record_reader import RecordDict


@dataclass(frozen=True)
class CanaryShare:
    """The canary's fraction of the keys: the same keys for one version, others for another."""

    key: Sequence[str]
    fraction: float

    def includes(self, record: RecordDict, version: str) -> bool:
        """Check whether the canary answers a record.

        Args:
            record: The record, with the columns of the key.
            version: The canary's version, which is hashed with the key.

        Returns:
            True for a `fraction` of all keys.
        """
        hashed = zlib.crc32(encode_json([version, *(record[column] for column in self.key)]))
        return hashed < self.fraction * 2**32


def make_canary_share(share: float, spec: LabelSpec) -> CanaryShare | None:
    """Build the rule that assigns keys to the canary.

    Args:
        share: The settings' `promotion.canary_share`.
        spec: What the contract says of keys.

    Returns:
        The rule; None where the share is 0.

    Raises:
        SettingsError: There is a share, and the contract has no primary key to divide by.
    """
    if share and not spec.key:
        raise SettingsError(f"promotion.canary_share = {share} needs a primary key in the contract (problem/schema.py)")
    return CanaryShare(tuple(spec.key), share) if share else None
