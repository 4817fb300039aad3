"""What an error of fsspec and the libraries below it says of an object store: away, refused, no such object."""

import errno

AWAY_ERRORS = {"ConnectionError", "HTTPClientError", "ClientConnectionError", "ClientPayloadError", "TimeoutError"}
AWAY_CODES = {errno.EBUSY, errno.EREMOTEIO}  # what s3fs makes of 500, 503 and of two conditional writes that met
NO_CREDENTIALS_ERRORS = {"NoCredentialsError", "PartialCredentialsError"}


def list_class_names(error: BaseException) -> set[str]:
    """Return the names of the class of an `error` and of those that it is derived from."""
    return {each.__name__ for each in type(error).__mro__}


def get_s3_code(error: BaseException) -> str:
    """Return S3's code of what an `error` of s3fs was raised for, such as "NoSuchBucket"; "" without one."""
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def is_missing_object(error: Exception) -> bool:
    """Return whether an `error` says that there is no such object, in a bucket that there is."""
    return isinstance(error, FileNotFoundError) and get_s3_code(error) != "NoSuchBucket"


def is_store_failure(names: set[str]) -> bool:
    """Return whether an error whose classes have these `names` comes from the client of a store."""
    return bool(names & (AWAY_ERRORS | NO_CREDENTIALS_ERRORS | {"BotoCoreError"}))


def is_store_away(error: BaseException) -> bool:
    """Return whether an `error` says that the store gives no answer at the moment."""
    return bool(list_class_names(error) & AWAY_ERRORS) or getattr(error, "errno", None) in AWAY_CODES


def is_condition_broken(error: OSError) -> bool:
    """Return whether an `error` says that an object isn't, or is, there as the condition of a write has it."""
    return isinstance(error, FileExistsError) or get_s3_code(error) in ("PreconditionFailed", "NoSuchKey")
