# One file, one target a service: docker build --target runner -t omega-runner .
#
# Wheels come from wheels/ (scripts/wheels.sh): a build takes what uv.lock names and needs no network.
# For a release name the base by its digest: --build-arg BASE_IMAGE=python:3.12-slim-bookworm@sha256:...
ARG BASE_IMAGE=python:3.12-slim-bookworm

FROM ${BASE_IMAGE} AS base
RUN useradd --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin omega \
 && mkdir -p /app/config /app/live /app/state /run/secrets && chown 10001:10001 /app/state

# Dependencies change rarely and our own code often: two steps, so that the large one stays cached.
FROM base AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_COMPILE=1 PIP_NO_INDEX=1 PIP_ROOT_USER_ACTION=ignore \
    COMPILE="python3 -m compileall -q --invalidation-mode unchecked-hash /app/venv/lib"
RUN python3 -m venv /app/venv

FROM build AS build-analytics
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/analytics.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-cosmic
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/cosmic.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-discord_bot
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/discord_bot.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-gateway
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/gateway.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-ledger
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/ledger.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-research
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/research.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-runner
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/runner.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

FROM build AS build-simulator
RUN --mount=type=bind,source=wheels/deps,target=/wheels \
    /app/venv/bin/pip install --find-links /wheels -r /wheels/simulator.txt \
 && $COMPILE
RUN --mount=type=bind,source=wheels/project,target=/wheels \
    /app/venv/bin/pip install --no-deps /wheels/*.whl && /app/venv/bin/pip uninstall --yes pip setuptools \
 && $COMPILE

# What every service shares: user, settings, health check. The root file system may be read-only: only /tmp and
# /app/state are written, and bytecode is already there.
FROM base AS service
ENV PATH=/app/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    OMEGA_CONFIG_DIR=/app/config OMEGA_LIVE_DIR=/app/live OMEGA_SECRETS_DIR=/run/secrets OMEGA_MONITORING__HOST=0.0.0.0
WORKDIR /app/state
COPY config /app/config
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["python", "-I", "-S", "-c", \
  "import os, http.client as h; c = h.HTTPConnection('127.0.0.1', int(os.environ['OMEGA_MONITORING__PORT']), timeout=2); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
USER 10001:10001

FROM service AS analytics
COPY --from=build-analytics /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9107
EXPOSE 9107
ENTRYPOINT ["python", "-m", "services.analytics"]

FROM service AS cosmic
COPY --from=build-cosmic /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9103
EXPOSE 9103
ENTRYPOINT ["python", "-m", "services.cosmic"]

FROM service AS discord_bot
COPY --from=build-discord_bot /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9105
EXPOSE 9105
ENTRYPOINT ["python", "-m", "services.discord_bot"]

FROM service AS gateway
COPY --from=build-gateway /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9101
EXPOSE 9101
ENTRYPOINT ["python", "-m", "services.gateway"]

FROM service AS ledger
COPY --from=build-ledger /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9104
EXPOSE 9104
ENTRYPOINT ["python", "-m", "services.ledger"]

FROM service AS runner
COPY --from=build-runner /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9102
EXPOSE 9102
ENTRYPOINT ["python", "-m", "services.runner"]

# No service: the command line with everything that history needs, for sweeps as Jobs.
FROM base AS research
ENV PATH=/app/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMEGA_CONFIG_DIR=/app/config
WORKDIR /app/state
COPY config /app/config
COPY data /app/data
COPY --from=build-research /app/venv /app/venv
USER 10001:10001
ENTRYPOINT ["omega"]

# With recorded data: candles and funding of the demo.
FROM service AS simulator
COPY data /app/data
COPY --from=build-simulator /app/venv /app/venv
ENV OMEGA_MONITORING__PORT=9106 OMEGA_SIMULATOR__HOST=0.0.0.0 OMEGA_SIMULATOR__DATA_DIR=/app/data
EXPOSE 8090 8091 9106
ENTRYPOINT ["python", "-m", "services.simulator"]
