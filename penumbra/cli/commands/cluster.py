"""Commands about clusters: cluster compile."""

from pathlib import Path

import click

from penumbra.cli.group import ProjectCommand, refuse_on, show_progress
from penumbra.cli.processes import NO_CALLS_HOME


@click.command("compile", cls=ProjectCommand, example="penumbra cluster compile --out k8s")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default="k8s", show_default=True, help="Where."
)
def compile_manifests(out: Path) -> None:
    """Write every flow as workflows of Argo, for `kubectl apply -f`: schedules, retries, resources, settings.

    Neither a cluster nor a store has to be there. The same code and settings give the same files.
    """
    from penumbra.cluster.compilation import compile_flows
    from penumbra.cluster.metaflow_config import ClusterRefused
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, ClusterRefused, OSError):
        settings = load_settings()
        with show_progress("Compiling the flows"):
            files, pods = compile_flows(settings, out, NO_CALLS_HOME)
    click.echo(f"Wrote {', '.join(str(file) for file in files)}.")
    click.echo(f"In the manifests, as they differ from settings.toml: {', '.join(pods.passed)}.")
    if pods.secret:
        click.echo(f"Not in them, as they carry secrets; cluster.secrets has to have them: {', '.join(pods.secret)}.")
    if pods.local:
        click.echo(
            "Not in them, as they name this machine's disk; pods have what settings.toml or cluster.secrets "
            f"says: {', '.join(pods.local)}."
        )


COMMANDS = (click.Group("cluster", commands=[compile_manifests], help="Take the flows to Kubernetes."),)
