"""What an error of fsspec and the libraries below it says of an object store: away, refused, no such object."""

import errno

from penumbra.core.text.masking import mask_address, mask_text

AWAY_ERRORS = {"ConnectionError", "HTTPClientError", "ClientConnectionError", "ClientPayloadError", "TimeoutError"}
AWAY_CODES = {errno.EBUSY, errno.EREMOTEIO}  # what s3fs makes of 500, 503 and of two conditional writes that met
NO_CREDENTIALS_ERRORS = {"NoCredentialsError", "PartialCredentialsError"}
CLIENT_ERRORS = AWAY_ERRORS | NO_CREDENTIALS_ERRORS | {"BotoCoreError"}


class StoreError(OSError):
    """The objects behind a URL can't be read or written; says why, and what to do, with the URL's secrets masked."""


def explain_store_failure(error: Exception, url: str, patience: float) -> Exception:
    """Find the error that says what is the matter with a store, in place of the library's.

    Args:
        error: What a request has raised.
        url: The store's URL.
        patience: Seconds for which a store that is away was tried again.

    Returns:
        A StoreError; or `error` itself, where an object is missing or the fault isn't the store's.
    """
    names, address = _list_class_names(error), mask_address(url)
    if isinstance(error, FileNotFoundError) and _get_s3_code(error) == "NoSuchBucket":
        return StoreError(f"{address}: there is no such bucket; create it, or mend [cluster] state")
    if isinstance(error, FileNotFoundError) or not (isinstance(error, OSError) or names & CLIENT_ERRORS):
        return error
    if names & NO_CREDENTIALS_ERRORS:
        return StoreError(f"{address}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role")
    if isinstance(error, PermissionError):
        return StoreError(f"{address}: access is denied to these credentials ({mask_text(str(error))})")
    if is_store_away(error):
        text = f"no answer for {patience:.0f} seconds ({mask_text(str(error))}); try again once it is back"
        return StoreError(f"{address}: {text}")
    return StoreError(f"{address}: {mask_text(str(error))}")


def is_missing_object(error: Exception) -> bool:
    """Return whether an `error` says that there is no such object, in a bucket that there is."""
    return isinstance(error, FileNotFoundError) and _get_s3_code(error) != "NoSuchBucket"


def is_store_away(error: BaseException) -> bool:
    """Return whether an `error` says that the store gives no answer at the moment."""
    return bool(_list_class_names(error) & AWAY_ERRORS) or getattr(error, "errno", None) in AWAY_CODES


def is_condition_broken(error: OSError) -> bool:
    """Return whether an `error` says that an object isn't, or is, there as the condition of a write has it."""
    return isinstance(error, FileExistsError) or _get_s3_code(error) in ("PreconditionFailed", "NoSuchKey")


def _list_class_names(error: BaseException) -> set[str]:
    """The names of the class of an error and of those that it is derived from."""
    return {each.__name__ for each in type(error).__mro__}


def _get_s3_code(error: BaseException) -> str:
    """S3's code of what an error of s3fs was raised for, such as "NoSuchBucket"; "" without one."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))
