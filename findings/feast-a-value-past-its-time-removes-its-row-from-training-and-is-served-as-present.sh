#!/usr/bin/env bash
# feast 0.67.0: a feature view has a `ttl`, the time after which a value is too old to be used. In `get_historical_features` of the
# file store an entity whose last value is too old isn't given a missing value: its row is gone from the result, with the features
# of all other views, and no warning. An entity without any value keeps its row. So the training set lacks just those rows whose
# feature had gone stale, and labels that were kept beside it in the same order no longer fit. `get_online_features`, of the same
# view, returns the old value and calls it present, so the model is served what it never saw.
#
# Seen: of users whose value is an hour and nine days old, and who has none, by a view of a day and one without limit: the rows
# for training, and what is served with its status (1 is present, 3 is not found).
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check feast==0.67.0 pandas==2.3.3 pyarrow==26.0.1 dask==2026.8.0
cd "$place"
cat > stale.py <<'PYTHON'
import logging
from datetime import datetime, timedelta, timezone

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

logging.disable(logging.CRITICAL)
now = datetime.now(timezone.utc).replace(microsecond=0)
ages = [timedelta(hours=1), timedelta(days=9)]
pd.DataFrame({"user": [1, 2], "at": [now - age for age in ages], "amount": [10.0, 20.0]}).to_parquet("amounts.parquet")
user = Entity(name="user", join_keys=["user"], value_type=ValueType.INT64)
source = FileSource(path="amounts.parquet", timestamp_field="at")
views = [
    FeatureView(name=name, entities=[user], ttl=ttl, schema=[Field(name="amount", dtype=Float64)], source=source)
    for name, ttl in (("day", timedelta(days=1)), ("ever", timedelta(0)))
]
store = FeatureStore(
    config=RepoConfig(
        project="amounts",
        registry="registry.db",
        provider="local",
        online_store={"type": "sqlite", "path": "online.db"},
        offline_store={"type": "file"},
        entity_key_serialization_version=3,
    )
)
store.apply([user, *views])
names = ["day:amount", "ever:amount"]
asked = pd.DataFrame({"user": [1, 2, 3], "event_timestamp": [now] * 3})
for features in (names[1:], names):
    rows = store.get_historical_features(entity_df=asked, features=features, full_feature_names=True).to_df()
    columns = [name.replace(":", "__") for name in features]
    print("training", *columns, rows.sort_values("user")[["user", *columns]].to_numpy().tolist())
store.materialize(now - timedelta(days=30), now)
served = store.get_online_features(features=names, entity_rows=[{"user": key} for key in (1, 2, 3)], full_feature_names=True)
statuses = {name: list(map(int, one.statuses)) for name, one in zip(served.proto.metadata.feature_names.val, served.proto.results)}
for name in ("day__amount", "ever__amount"):
    print("served", name, served.to_dict()[name], statuses[name])
PYTHON
FEAST_USAGE=False "$place/venv/bin/python" -W ignore stale.py 2> log | grep -E '^(training|served)' > seen
diff - seen <<'SEEN' && echo "feast 0.67.0: as described"
training ever__amount [[1.0, 10.0], [2.0, 20.0], [3.0, nan]]
training day__amount ever__amount [[1.0, 10.0, 10.0], [3.0, nan, nan]]
served day__amount [10.0, 20.0, None] [1, 1, 3]
served ever__amount [10.0, 20.0, None] [1, 1, 3]
SEEN
