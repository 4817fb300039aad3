"""Commands about clusters: cluster compile."""

import os
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
    from penumbra.cluster.pod_settings import list_local_places, list_pod_settings
    from penumbra.core.settings import SettingsError, load_settings

    with refuse_on(SettingsError, ClusterRefused, OSError):
        settings = load_settings()
        with show_progress("Compiling the flows"):
            files = compile_flows(settings, out, NO_CALLS_HOME)
    passed, secret = list_pod_settings(settings, os.environ)
    click.echo(f"Wrote {', '.join(str(file) for file in files)}.")
    if passed:
        click.echo(f"In the manifests, as they differ from settings.toml: {', '.join(passed)}.")
    if secret:
        click.echo(f"Not in them, as they carry secrets; cluster.secrets has to have them: {', '.join(secret)}.")
    if places := list_local_places(settings):
        click.echo(
            f"These name this machine's disk, so cluster.secrets or the environment has to: {', '.join(places)}."
        )


COMMANDS = (click.Group("cluster", commands=[compile_manifests], help="Take the flows to Kubernetes."),)
