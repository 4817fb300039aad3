"""The tables of the index (penumbra/logs/index.py), and the statements that fill them."""

from penumbra.logs.queries import bottom_k
from penumbra.logs.schema import FEEDBACK_SOURCE

# labels.key is '' as long as all that is known is the id of a prediction that isn't in the log (yet).
INDEX_DDL = f"""
CREATE TABLE segments (name TEXT PRIMARY KEY, position INTEGER NOT NULL, unreadable INTEGER NOT NULL);
CREATE TABLE predictions (id TEXT PRIMARY KEY, key TEXT NOT NULL, time REAL NOT NULL, event REAL NOT NULL,
  model TEXT NOT NULL, output NOT NULL, decision NOT NULL, alone INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX predictions_by_key ON predictions (key);
CREATE INDEX predictions_by_event ON predictions (event);
CREATE TABLE days (day INTEGER, model TEXT, rows INTEGER NOT NULL, PRIMARY KEY (day, model)) WITHOUT ROWID;
CREATE TABLE arrivals (day INTEGER PRIMARY KEY, rows INTEGER NOT NULL);
CREATE TABLE labels (key TEXT, time REAL, segment TEXT, position INTEGER, prediction TEXT NOT NULL,
  value TEXT NOT NULL, target TEXT, source TEXT NOT NULL, PRIMARY KEY (key, time, segment, position)) WITHOUT ROWID;
CREATE INDEX labels_by_batch ON labels (source) WHERE source <> '{FEEDBACK_SOURCE}';
CREATE TABLE shadow (prediction TEXT, model TEXT, time REAL NOT NULL, output, decision, status TEXT NOT NULL,
  reason TEXT NOT NULL, PRIMARY KEY (prediction, model)) WITHOUT ROWID;
CREATE TABLE shadow_counts (model TEXT PRIMARY KEY, rows INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIEW truth AS SELECT key, value, target, time, source,
    (SELECT min(time) FROM labels AS any WHERE any.key = labels.key) AS first
  FROM labels WHERE NOT EXISTS (SELECT 1 FROM labels AS later WHERE later.key = labels.key
    AND (later.time, later.segment, later.position) > (labels.time, labels.segment, labels.position));
CREATE VIEW outcomes AS SELECT *, segment || '-' || printf('%x', position) AS id, CASE
    WHEN NOT EXISTS (SELECT 1 FROM predictions WHERE predictions.key = ordered.key) THEN 'orphan'
    WHEN before IS NULL THEN 'attached'
    WHEN before = value THEN 'duplicate'
    ELSE 'correction' END AS outcome
  FROM (SELECT *, lag(value) OVER (PARTITION BY key ORDER BY time, segment, position) AS before FROM labels) AS ordered;
{bottom_k.SAMPLE_TABLES_DDL.strip()}
"""
INSERT_BY_TABLE = {
    "predictions": "INSERT OR IGNORE INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "labels": "INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "shadow": "INSERT OR REPLACE INTO shadow VALUES (?, ?, ?, ?, ?, ?, ?)",
}
EXISTING_IDS_QUERY = "SELECT id FROM predictions WHERE id BETWEEN ? AND ?"
ADD_TO_DAY = "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
ADD_TO_ARRIVALS = "INSERT INTO arrivals VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
ADD_TO_SHADOW = "INSERT INTO shadow_counts VALUES (?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows"
RESOLVE_LABEL_KEYS = """
UPDATE OR REPLACE labels SET key = (SELECT key FROM predictions WHERE id = labels.prediction)
WHERE key = '' AND EXISTS (SELECT 1 FROM predictions WHERE id = labels.prediction)
"""
ADVANCE_INDEX_POSITION = """
INSERT INTO segments VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position, unreadable = unreadable + excluded.unreadable
"""
LATEST_LABELS_QUERY = f"""
SELECT key, value FROM labels WHERE source = ? AND source <> '{FEEDBACK_SOURCE}' ORDER BY time, segment, position
"""
INDEX_TIMEOUT_SECONDS = 60
# Keys come in no order, so that nearly each line dirties a page of its own: small pages, and many between checkpoints.
INDEX_PRAGMAS = (
    "page_size = 4096",
    "journal_mode = WAL",
    "synchronous = NORMAL",
    "cache_size = -100000",
    "wal_autocheckpoint = 40000",
)
