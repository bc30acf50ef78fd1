# One image for the server, the workers, the runs that they start, and the review page.
#   docker build -t labelsweep .                                 the CPU build of torch
#   docker build -t labelsweep:cuda --build-arg VARIANT=cuda .   torch with its CUDA libraries; the host needs the driver only
# Versions are those of constraints.txt, or of constraints-3.13.txt from Python 3.13 on. BASE may name an image by its digest.
ARG PYTHON=3.13
ARG BASE=python:${PYTHON}-slim-bookworm

# What changes rarely: the environment. pip runs here only, so its cache and its build tools stay out of the image.
FROM ${BASE} AS environment
ARG VARIANT=cpu
ARG EXTRAS=docker,kubernetes,otel,s3,sql
WORKDIR /source
RUN python -m venv /opt/labelsweep
ENV PATH=/opt/labelsweep/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml constraints*.txt deploy/docker/install.sh ./
RUN --mount=type=cache,target=/root/.cache/pip sh install.sh "$VARIANT" "$EXTRAS"

# What changes with every commit: our own wheel.
FROM environment AS wheel
COPY README.md LICENSE prefect.yaml ./
COPY data/digits.parquet data/
COPY deploy/automations.yaml deploy/notifications.yaml deploy/
COPY flows flows
COPY tasks tasks
RUN --mount=type=cache,target=/root/.cache/pip pip wheel --no-deps --wheel-dir /wheel .

FROM ${BASE}
LABEL org.opencontainers.image.title="labelsweep" \
      org.opencontainers.image.description="Sweep a labeled data set for mislabeled samples." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --user-group --create-home labelsweep \
    && install --directory --owner=labelsweep --group=labelsweep /data
COPY --from=environment /opt/labelsweep /opt/labelsweep
ENV PATH=/opt/labelsweep/bin:$PATH
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-cache-dir --no-deps --no-index /wheel/*.whl
# Everything that is written goes to the results, to the home or to the folder for temporary files.
ENV LABELSWEEP_OUT=/data \
    LABELSWEEP_WORK=/data/work \
    PREFECT_SERVER_UI_STATIC_DIRECTORY=/home/labelsweep/ui \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    PREFECT_RESULTS_DEFAULT_SERIALIZER=json \
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30 \
    PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY=PT40S \
    PREFECT_SERVER_EVENTS_CAUSAL_ORDERING=flows.platform.event_order \
    PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem \
    PREFECT_WORKER_QUERY_SECONDS=1 \
    DO_NOT_TRACK=1 \
    GX_ANALYTICS_ENABLED=false \
    OMP_WAIT_POLICY=PASSIVE \
    PYTHONUNBUFFERED=1
USER 10001:10001
# From here, the folder `data` that commands write to by default is the volume.
WORKDIR /
VOLUME /data
CMD ["labelsweep", "--help"]
