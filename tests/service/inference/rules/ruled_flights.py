"""Rules on flights, and what a model has learnt of these."""

from prometheus_client import REGISTRY

from penumbra.features import Category
from penumbra.rules import (
    ModelPriors,
    Rule,
)

BINARY = ModelPriors(0.5, {"dest": {"ORD": 500, "BGR": 2}}, 0.2, {"dest": Category("dest").scalar()})
FLIGHT = {"dest": "ORD", "distance": 700}
NUMBER = ModelPriors(float("nan"))


def rule(when, then, name="it"):
    return Rule(name, "because", when, then)


def is_condition_met(when, record=FLIGHT, prediction=None, priors=BINARY):
    return when.test(priors)(record, prediction)


def read_counter(metric, **labels):
    return REGISTRY.get_sample_value(metric, labels) or 0.0
