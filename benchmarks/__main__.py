"""`python -m benchmarks NAME [FILE]`: runs a benchmark; those of the shipped example run so whatever `problem/` is."""

import filecmp
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from penumbra.core.settings import PROJECT_ROOT
from tests.helpers.checkout import FLIGHTS, link_checkout

ON_ANY_PROBLEM = ("cli", "own_data", "slices", "start", "template", "tests")


def main(module: str, file: Path | None = None) -> int:
    """Run a benchmark in a process of its own.

    Where it measures the shipped example and `problem/` is another problem, it runs in a checkout of links that has
    `examples/flights` in that place.

    Args:
        module: The name of its module or package.
        file: The file that its figures are entered into; None for none.

    Returns:
        Its exit code.
    """
    name = module.replace("_", "-")
    if module in ON_ANY_PROBLEM or is_example():
        return _run_benchmark(module, file)
    if not FLIGHTS.exists():
        print(f"bench {name} measures the shipped example, and there is no examples/flights", file=sys.stderr)
        return 1
    print(f"problem/ is not the shipped example: bench {name} measures examples/flights instead", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        checkout = link_checkout(Path(folder).resolve())
        return _run_benchmark(module, file, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)})


def _run_benchmark(module: str, file: Path | None, **options: Any) -> int:
    command = [sys.executable, "-m", find_benchmark(module)]
    if file is None:
        return subprocess.run(command, **options).returncode
    from benchmarks.measured import measured_file, page

    began, revision, printed = time.monotonic(), measured_file.describe_revision(), list[str]()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options) as process:
        for line in process.stdout or []:
            print(line, end="", flush=True)
            printed.append(line)
    seconds, name = time.monotonic() - began, module.replace("_", "-")
    measured_file.record_run(file, name, "".join(printed), seconds, revision)
    if file.resolve() == measured_file.MEASURED_FILE.resolve():
        page.update_page()
    return process.returncode


def find_benchmark(module: str) -> str:
    """Find a benchmark in this folder, or in one of its folders.

    Args:
        module: The name of its module or package.

    Returns:
        Its full name, such as "benchmarks.pipeline.train".

    Raises:
        ValueError: There is none of that name, or more than one.
    """
    folder = Path(__file__).parent
    files = [
        *folder.glob(f"*/{module}.py"),
        *folder.glob(f"{module}/__main__.py"),
        *folder.glob(f"*/{module}/__main__.py"),
    ]
    if len(files) != 1:
        raise ValueError(
            f"the benchmark {module} is to be one module or package below {folder}, and there are {len(files)}"
        )
    return ".".join(files[0].relative_to(folder.parent).with_suffix("").parts).removesuffix(".__main__")


def is_example() -> bool:
    """Return whether `problem/` has the example's contract and source."""
    names = ["schema.py", "source.py"]
    return not any(filecmp.cmpfiles(PROJECT_ROOT / "problem", FLIGHTS, names, shallow=False)[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(Path, sys.argv[2:])))
