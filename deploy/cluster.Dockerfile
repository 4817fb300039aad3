# The image of all pods of a cluster: docker build -f deploy/cluster.Dockerfile -t penumbra "$(bin/penumbra image)"
FROM python:3.11-slim AS packages
COPY locks/cluster.lock /cluster.lock
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --require-hashes -r /cluster.lock \
 && /venv/bin/python -m compileall -q -j 0 /venv/lib

FROM python:3.11-slim
COPY --from=packages /venv /venv
COPY . /srv/
RUN /venv/bin/python -m compileall -q /srv \
 && mkdir /srv/var \
 && chown 10001:10001 /srv/var
WORKDIR /srv
# A pod writes below /srv/var and /tmp only; the root file system is read-only there.
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/srv \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    BENTOML_DO_NOT_TRACK=True \
    DO_NOT_TRACK=1 \
    DVC_NO_ANALYTICS=1 \
    MLFLOW_DISABLE_TELEMETRY=true \
    ORT_DISABLE_TELEMETRY=1
USER 10001:10001
CMD ["python", "-m", "penumbra.cli.app", "--help"]
