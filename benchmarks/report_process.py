"""The reports of the windows that have none yet, as `make monitor` makes them, in a process that does nothing else:
its CPU seconds from its start, and those that were gone before anything was read."""

import json
import resource


def read_cpu_seconds() -> float:
    """Seconds that this process and its children had of the processor."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    import monitoring.reports  # noqa: F401
    from flows.steps.monitor import reports
    from penumbra.core.settings import load_settings

    imports = read_cpu_seconds()
    pages = reports.publish_reports(load_settings())
    print(json.dumps({"cpu": read_cpu_seconds(), "imports": imports, "pages": len(pages)}))


if __name__ == "__main__":
    main()
