"""The part of kustomize that deploy/kubernetes uses; where kubectl is installed, a test holds both to be equal.

Anything else in a kustomization is refused. Generated names get no suffix of a hash.
"""

from pathlib import Path
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
Manifest = dict[str, Any]
KNOWN_KEYS = {"apiVersion", "kind", "resources", "namespace", "configMapGenerator", "images", "patches"}
KNOWN_KEYS |= {"configurations"}  # where names of generated manifests stand, which stay as they are here
CLUSTER_KINDS = {"Namespace"}


def render_kustomization(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize FOLDER` prints, in another order."""
    kustomization = yaml.load((folder / "kustomization.yaml").read_text(), LOADER)
    assert kustomization.keys() <= KNOWN_KEYS, f"{folder} uses what the tests don't know"
    manifests = [manifest for name in kustomization["resources"] for manifest in read_resource(folder / name)]
    for generator in kustomization.get("configMapGenerator", ()):
        generate_config_map(folder, generator, manifests)
    for patch in kustomization.get("patches", ()):
        apply_patch(yaml.load(patch["patch"], LOADER), manifests)
    for image in kustomization.get("images", ()):
        set_image(image, manifests)
    if "namespace" in kustomization:
        set_namespace(kustomization["namespace"], manifests)
    return manifests


def read_resource(path: Path) -> list[Manifest]:
    return render_kustomization(path) if path.is_dir() else list(yaml.load_all(path.read_text(), LOADER))


def read_env_file(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def generate_config_map(folder: Path, generator: Manifest, manifests: list[Manifest]) -> None:
    assert generator.keys() <= {"name", "envs", "files", "behavior", "options"}
    data = {key: value for name in generator.get("envs", ()) for key, value in read_env_file(folder / name).items()}
    data |= {name: (folder / name).read_text() for name in generator.get("files", ())}
    metadata: Manifest = {"name": generator["name"]}
    if labels := generator.get("options", {}).get("labels"):
        metadata["labels"] = labels
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    if generator.get("behavior") == "merge":
        find_manifest(config_map, manifests)["data"] |= data
    else:
        manifests.append({**config_map, "data": data})


def find_manifest(sought: Manifest, manifests: list[Manifest]) -> Manifest:
    name = sought["kind"], sought["metadata"]["name"]
    (found,) = (each for each in manifests if (each["kind"], each["metadata"]["name"]) == name)
    return found


def apply_patch(patch: Manifest, manifests: list[Manifest]) -> None:
    merge(find_manifest(patch, manifests), patch)


def merge(target: Manifest, patch: Manifest) -> None:
    for key, value in patch.items():
        assert not isinstance(value, list), f"a patch with the list {key}: its merging isn't known here"
        if isinstance(value, dict):
            merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


def list_containers(manifest: Manifest) -> list[Manifest]:
    spec = manifest.get("spec", {}).get("template", {}).get("spec", {})
    return [*spec.get("initContainers", ()), *spec.get("containers", ())]


def set_image(image: Manifest, manifests: list[Manifest]) -> None:
    for container in (container for manifest in manifests for container in list_containers(manifest)):
        if container["image"] == image["name"]:
            digest = f"@{image['digest']}" if "digest" in image else f":{image['newTag']}"
            container["image"] = image["newName"] + digest


def set_namespace(namespace: str, manifests: list[Manifest]) -> None:
    for manifest in (each for each in manifests if each["kind"] not in CLUSTER_KINDS):
        manifest["metadata"]["namespace"] = namespace
        for subject in manifest.get("subjects", ()):
            subject["namespace"] = namespace
