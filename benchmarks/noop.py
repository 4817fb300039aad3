"""A BentoML service in its documented form that does nothing."""

import bentoml
from pydantic import BaseModel


class Record(BaseModel):
    carrier: str
    distance: int


class Answer(BaseModel):
    probability: float


@bentoml.service
class Noop:
    @bentoml.api
    async def predict(self, record: Record, /) -> Answer:
        return Answer(probability=0.5)
