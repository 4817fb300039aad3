"""How an extra of the project is installed, in the words of every refusal that takes one."""

EXTRA_LOCKS = {"train": "runtime"}  # in locks/; the others are called as their extra


def describe_installation(extra: str) -> str:
    """Describe how to install an extra without changing a version of anything else.

    Args:
        extra: The extra's name in pyproject.toml: "train", "s3" or "cluster".

    Returns:
        The end of a sentence, with the command.
    """
    lock = f"locks/{EXTRA_LOCKS.get(extra, extra)}.lock"
    command = f".venv/bin/uv pip install --python .venv/bin/python --require-hashes -r {lock}"
    return f'install the extra "{extra}" by its lock (`{command}`)'
