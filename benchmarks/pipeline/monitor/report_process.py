"""The CPU seconds of the reports of a monitor pass, in a process that does nothing else.

Prints one line of JSON: `cpu` from the process's start; `imports`, the part of it before anything is read; and the
number of `pages`.
"""

import json

from penumbra.core.system.process_tree import read_cpu_seconds


def main() -> None:
    """Make the reports of the windows that have none yet."""
    from flows.steps.monitor import reports
    from penumbra.core.settings import load_settings

    with reports.keep_garbage():
        import flows.steps.monitor.window_reports  # noqa: F401
    imports = read_cpu_seconds()
    pages = reports.publish_reports(load_settings())
    print(json.dumps({"cpu": read_cpu_seconds(), "imports": imports, "pages": len(pages)}))


if __name__ == "__main__":
    main()
