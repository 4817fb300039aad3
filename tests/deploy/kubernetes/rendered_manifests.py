"""The manifests of both overlays and of monitoring, rendered, and what is in them."""

from penumbra.core.settings import PROJECT_ROOT, Settings, load_settings
from tests.helpers.cluster.kustomize import Manifest, list_containers, render_kustomization

FOLDER = PROJECT_ROOT / "deploy/kubernetes"
OVERLAYS = ("staging", "production")
RENDERED = {name: render_kustomization(FOLDER / "overlays" / name) for name in OVERLAYS}
MONITORING = render_kustomization(FOLDER / "monitoring")


def find_manifest(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = (each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def find_workloads(manifests: list[Manifest]) -> list[Manifest]:
    return [each for each in manifests if each["kind"] in ("StatefulSet", "Deployment")]


def read_overlay_settings(overlay: str) -> Settings:
    environ = find_manifest(RENDERED[overlay], "ConfigMap", "penumbra-settings")["data"]
    return load_settings(environ=environ)


BASE = RENDERED["staging"]
PODS = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in find_workloads(BASE)}
CONTAINERS = {container["name"]: container for each in find_workloads(BASE) for container in list_containers(each)}
