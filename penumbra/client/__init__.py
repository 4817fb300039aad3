"""The client of the service: typed answers and errors, repeated requests that are logged once, sync and async.

It needs httpx and msgspec, and nothing of the engine: `deploy/client` makes a wheel of it alone.
"""

from penumbra.client.async_client import AsyncClient
from penumbra.client.client import Client
from penumbra.client.errors import (
    ClientError,
    InvalidRecord,
    InvalidRequest,
    KeyConflict,
    NotPermitted,
    RequestFailed,
    ServiceFailed,
    ServiceOverloaded,
    ServiceUnavailable,
    ServiceUnreachable,
    TooLarge,
    UnknownId,
)
from penumbra.client.exchange import RetryPolicy
from penumbra.client.responses import (
    ExplanationResponse,
    FeatureAttribution,
    FeedbackResponse,
    PredictResponse,
    ProblemDetail,
    ReadinessResponse,
    ReviewResponse,
    UncertaintyResponse,
)

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ExplanationResponse",
    "FeatureAttribution",
    "FeedbackResponse",
    "InvalidRecord",
    "InvalidRequest",
    "KeyConflict",
    "NotPermitted",
    "PredictResponse",
    "ProblemDetail",
    "ReadinessResponse",
    "RequestFailed",
    "RetryPolicy",
    "ReviewResponse",
    "ServiceFailed",
    "ServiceOverloaded",
    "ServiceUnavailable",
    "ServiceUnreachable",
    "TooLarge",
    "UncertaintyResponse",
    "UnknownId",
]
