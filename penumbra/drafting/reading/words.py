"""What names and words of a table say: of codes and keys, times, missing values, yes, and what is known afterwards."""

import re
import unicodedata

from penumbra.data.partitions.conversion import FALSE_WORDS, TRUE_WORDS

# Words in fields that are no value, whatever the column.
NULL_WORDS = (
    *("NULL", "null", "Null", "NaN", "nan", "N/A", "n/a", "#N/A", "#NV", "<NA>", r"\N", "(null)", "NaT"),
    *("#VALUE!", "#REF!", "#DIV/0!", "#NULL!", "#NAME?", "#NUM!"),
)
# Words that are one among numbers, times, and yes and no, and may be a value of text (Namibia, nobody).
FILLER_WORDS = (
    *("NA", "na", "None", "none", "nil", "-", "--", "---", "?", ".", "..", "*", "x", "unknown", "Unknown", "missing"),
    *("k.A.", "k. A.", "TBD", "n.a.", "N.A.", " ", "inf", "-inf"),
)
BOOLEANS = {word: word in TRUE_WORDS for word in (*TRUE_WORDS, *FALSE_WORDS) if not word.isdigit()}
KEY_WORDS = frozenset(
    ("id", "ids", "key", "uuid", "guid", "number", "no", "nr", "num", "nummer", "code", "ref", "index")
)
CODE_WORDS = frozenset(
    ("zip", "zipcode", "postcode", "postal", "plz", "phone", "telephone", "telefon", "iban", "isbn", "ean")
)
TIME_WORDS = frozenset(
    (
        *("time", "timestamp", "ts", "date", "datetime", "datum", "zeit", "day", "epoch", "at", "on", "when", "moment"),
        *("created", "created_at", "ordered", "opened", "started", "month", "tag", "unixtime"),
    )
)
COUNTER_NAMES = frozenset(("", "unnamed: 0", "index", "row", "rownames", "row_id", "rownum", "x1", "...1"))
# Of a second time in the row, or of another column, that is known only when the outcome is.
LATER_WORDS = frozenset(
    (
        *("outcome", "result", "actual", "realized", "final", "resolved", "resolution", "closed", "cancelled"),
        *("canceled", "churned", "returned", "refunded", "paid", "delivered", "ended", "end", "completed", "finished"),
        *("settled", "updated", "modified", "shipped", "dispatched", "received", "arrived", "decided", "deleted"),
        *("terminated", "termination", "label", "target", "prediction", "predicted"),
    )
)
# Of things that come and go, so that those of today aren't all.
ENTITY_WORDS = frozenset(
    (
        *("country", "city", "town", "state", "county", "store", "shop", "branch", "product", "item", "brand", "sku"),
        *("model", "user", "customer", "client", "account", "name", "campaign", "supplier", "vendor", "merchant"),
        *("stadt", "ort", "land", "filiale", "laden", "kunde", "produkt", "artikel", "marke", "modell"),
        *("ville", "pays", "magasin", "produit", "marque", "ciudad", "pais", "tienda", "cliente", "producto", "marca"),
        *("agent", "employee", "version", "device", "browser", "host", "machine", "sensor", "station", "url", "domain"),
    )
)
# Of what is counted, measured from nothing, or paid: never below 0.
COUNT_WORDS = frozenset(
    (
        *("count", "counts", "n", "num", "qty", "quantity", "items", "units", "pieces", "visits", "views", "clicks"),
        *("price", "prices", "cost", "costs", "fee", "fare", "salary", "income", "refund", "wage", "preis", "menge"),
        *("anzahl", "age", "tenure", "duration", "seconds", "minutes", "hours", "days", "weeks", "months", "years"),
        *("since", "year", "month", "hour", "minute", "weight", "height", "length", "width", "depth", "size", "area"),
        *("distance", "mileage", "km", "miles", "speed", "windspeed", "humidity", "population", "passengers", "seats"),
        *("nights", "guests", "adults", "children", "persons", "nachte", "naechte", "tage", "stunden", "minuten"),
        *("wochen", "monate", "jahre", "personen", "gaste", "erwachsene", "kinder", "alter", "dauer", "kosten"),
        *("gewicht", "zimmer"),
        *("rooms", "share", "percent", "percentage", "probability", "discount", "stars", "rating"),
    )
)
OPEN_WORDS = ENTITY_WORDS | KEY_WORDS | CODE_WORDS
LIFE_WORDS = frozenset(
    ("birth", "birthday", "birthdate", "dob", "born", "geburtsdatum", "hired", "joined", "since", "due")
)
CLOCK_WORDS = frozenset(("time", "clock", "hhmm", "uhrzeit", "hour"))
YES_WORDS = frozenset(
    (
        *("yes", "y", "true", "t", "1", "ja", "j", "oui", "si", "sí", "sim", "positive", "pos", "+", "on", "present"),
        *("fraud", "churn", "churned", "default", "defaulted", "bad", "spam", "late", "failed", "failure", "sick"),
        *("ill", "malignant", "returned", "cancelled", "canceled", "left", "won", "win", "success", "bought"),
        *("converted", "accepted", "approved", "click", "clicked", "subscribed", "died", "dead", "exited", ">50k"),
    )
)


def split_name(name: str) -> tuple[str, ...]:
    """Split a column's name into words.

    Args:
        name: Such as "orderDate", "order_date" or "Order date (UTC)".

    Returns:
        The words in small letters, without accents.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    return tuple(word for word in re.split(r"[^a-z0-9]+", apart.lower()) if word)


def has_word_of(words: frozenset[str], name: str) -> bool:
    """Tell whether a column's name has one of some words in it.

    Args:
        words: Words in small letters, such as `KEY_WORDS`.
        name: The name, such as "Customer No." or "orderId".

    Returns:
        Whether it has one.
    """
    return not words.isdisjoint(split_name(name))


def is_counter_name(name: str) -> bool:
    """Tell whether a tool gave a column's name to the row numbers that it wrote, as pandas does with "Unnamed: 0".

    Args:
        name: The name.

    Returns:
        Whether it is such a name.
    """
    return name.strip().lower() in COUNTER_NAMES


def is_yes_word(value: str) -> bool:
    """Tell whether a value of two means yes, as "ja" and "churned" do.

    Args:
        value: The value as text.

    Returns:
        Whether it does.
    """
    return value.strip().lower() in YES_WORDS
