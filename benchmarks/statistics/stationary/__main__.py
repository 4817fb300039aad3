"""`python -m benchmarks.statistics.stationary NAME …`: the tables of some problems, on worlds of development."""

import argparse

from benchmarks.statistics.stationary.tables import CHANGED_WORLDS, WINDOWS, measure_problems

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--windows", type=int, default=WINDOWS)
    parser.add_argument("--worlds", type=int, default=CHANGED_WORLDS)
    chosen = parser.parse_args()
    measure_problems(chosen.names, chosen.seed, chosen.windows, chosen.worlds)
