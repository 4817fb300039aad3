"""A BentoML service in its documented form that does nothing: the lower bound for one."""

import bentoml
from pydantic import BaseModel


class NoopRecord(BaseModel):
    carrier: str
    distance: int


class NoopAnswer(BaseModel):
    probability: float


@bentoml.service
class Noop:
    @bentoml.api
    async def predict(self, record: NoopRecord, /) -> NoopAnswer:
        return NoopAnswer(probability=0.5)
