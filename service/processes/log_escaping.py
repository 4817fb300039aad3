"""Log lines that no client can forge: what it sent may be in a message, or in what an error says, but never breaks out
of its line."""

import logging
import textwrap
import traceback

CONTROL_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
CONTROL_ESCAPES |= {0x2028: "\\u2028", 0x2029: "\\u2029", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
TRACEBACK_ESCAPES = {code: text for code, text in CONTROL_ESCAPES.items() if code != ord("\n")}


class EscapeFilter(logging.Filter):
    """Escapes control characters; a traceback keeps its lines, each indented so that none looks like a record's."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = record.getMessage().translate(CONTROL_ESCAPES), ()
        if record.exc_info and not record.exc_text:
            text = "".join(traceback.format_exception(*record.exc_info)).translate(TRACEBACK_ESCAPES)
            record.exc_text = textwrap.indent(text.rstrip("\n"), "    ", lambda line: True)
        return True


ESCAPE_FILTER = EscapeFilter()


def escape_log_output() -> None:
    """Let every handler that there is escape what it writes."""
    loggers = [logging.root, *map(logging.getLogger, logging.root.manager.loggerDict)]
    for handler in {handler for logger in loggers for handler in logger.handlers}:
        handler.addFilter(ESCAPE_FILTER)
