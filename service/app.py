"""The BentoML service: `bentoml serve service.app:Service`, or with its companion processes `python -m service`."""

from penumbra.core.loading.problem_loading import SERVED_PARTS, load_problem
from penumbra.core.settings import load_settings
from service.http.access.access_control import read_keys
from service.processes.workers import inheritance
from service.service_factory import build_service

Service = build_service(
    load_settings(),
    load_problem(SERVED_PARTS),
    inheritance.inherited.keys if inheritance.inherited else read_keys(),
)
