"""What `penumbra reproduce` prints."""

from penumbra.cli.reproduction import Reproduction


def test_large_metrics_do_not_run_together():
    told = str(Reproduction({"squared_error": (81_234_567.25, 81_234_567.25), "r2": (0.5, 0.25)}, 0.0, []))
    assert told.splitlines()[:3] == [
        "                                   then                       now",
        "squared_error  81234567.250000000000000  81234567.250000000000000",
        "r2                    0.500000000000000         0.250000000000000",
    ]
