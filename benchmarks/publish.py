"""The reports of the windows that have none yet, as `make monitor` makes them, in a process that does nothing else:
its CPU seconds from its start, and those that were gone before anything was read."""

import json
import resource


def cpu() -> float:
    """Seconds that this process and its children had of the processor."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    import monitoring.reports  # noqa: F401
    import settings
    from flows.watch import reporting

    imports = cpu()
    pages = reporting.publish(settings.load())
    print(json.dumps({"cpu": cpu(), "imports": imports, "pages": len(pages)}))


if __name__ == "__main__":
    main()
