"""Messages to a webhook, in the form that Slack and its like read. A failure never stops the pass."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence

from penumbra.core.text.quoting import shorten_text

MAX_ALARMS, MAX_ALARM_LENGTH = 20, 1_000  # in one message; characters of each
MESSAGE_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}  # all that the format has
WEBHOOK_TRIES, WEBHOOK_TIMEOUT_SECONDS, WEBHOOK_PAUSE_SECONDS = 3, 5.0, 1.0


def post_alarms(url: str, alarms: Sequence[str], pause: float = WEBHOOK_PAUSE_SECONDS) -> bool:
    """Post alarms to a webhook, with a few tries and longer and longer pauses. Prints the outcome.

    Args:
        url: The webhook's address; "" for none.
        alarms: The alarms, a sentence each.
        pause: Seconds before the second try; each later pause is twice as long.

    Returns:
        Whether there was nothing to send, or it arrived.
    """
    if not url or not alarms:
        return True
    if reason := post_message(url, {"text": "\n".join(_format_alarms(alarms))}, pause):
        print(f"the webhook was not reached ({reason}): the ledger has what it would have said")
        return False
    print(f"the webhook was told: {len(alarms)}")
    return True


def post_message(url: str, message: Mapping[str, str], pause: float = WEBHOOK_PAUSE_SECONDS) -> str:
    """Post a message to a webhook, with a few tries and longer and longer pauses.

    Args:
        url: The webhook's address.
        message: The fields of the message, of which chats show `text`.
        pause: Seconds before the second try; each later pause is twice as long.

    Returns:
        Why it didn't arrive, without the address, which is a secret; "" where it did.
    """
    body, reason = json.dumps(message).encode(), ""
    for number in range(WEBHOOK_TRIES):
        if number:
            time.sleep(pause * 2 ** (number - 1))
        if not (reason := _post_json(url, body)):
            break
    return reason


def _format_alarms(alarms: Sequence[str]) -> Iterator[str]:
    """The alarms, a bounded line each, without mentions, links and markup."""
    for alarm in alarms[:MAX_ALARMS]:
        line = " ".join(alarm.split())
        yield shorten_text(line, MAX_ALARM_LENGTH).translate(MESSAGE_ESCAPES)
    if len(alarms) > MAX_ALARMS:
        yield f"and {len(alarms) - MAX_ALARMS} more: penumbra history"


def _post_json(url: str, body: bytes) -> str:
    """Why it failed; "" where it didn't."""
    try:
        request = urllib.request.Request(url, body, {"content-type": "application/json"}, method="POST")
        with urllib.request.urlopen(request, timeout=WEBHOOK_TIMEOUT_SECONDS):
            return ""
    except urllib.error.HTTPError as refusal:
        return f"HTTPError: HTTP Error {refusal.code}"
    except urllib.error.URLError as error:
        return f"URLError: {error.reason}"
    except Exception as error:  # a broken answer, …; its text may have parts of the address, which is a secret
        return type(error).__name__
