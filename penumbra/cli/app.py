"""`penumbra`: the group of all commands, and the entry point."""

import atexit
import gc

import click

from penumbra.cli.commands import (
    approvals,
    cluster,
    data,
    drafting,
    monitoring,
    project,
    promotion,
    reviews,
    serving,
    simulation,
    training,
)
from penumbra.cli.group import EXIT_CODES_TEXT, CommandGroup
from penumbra.cli.processes import set_environment_defaults

SECTIONS = {
    "Data": data.COMMANDS,
    "Training": training.COMMANDS,
    "Serving": serving.COMMANDS,
    "Promotion": (*promotion.COMMANDS, *approvals.COMMANDS),
    "Monitoring": monitoring.COMMANDS,
    "Reviews": reviews.COMMANDS,
    "Cluster": cluster.COMMANDS,
    "Simulation": simulation.COMMANDS,
    "Project": (*drafting.COMMANDS, *project.COMMANDS),
}
GARBAGE_THRESHOLD = 50_000  # new objects, after which Python looks for garbage: imports make many, and no garbage


@click.group(
    cls=CommandGroup,
    sections=SECTIONS,
    epilog=EXIT_CODES_TEXT,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
def main() -> None:
    """One closed loop for models in production: data, experiment, shadow, promote, monitor, retrain."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    atexit.register(gc.freeze)  # as flows do: Python's last collections look at all that was imported
    set_environment_defaults()


if __name__ == "__main__":
    main(prog_name="penumbra")
