# Stage 1 builds a virtual environment with the service in it. The dependencies are a layer of
# their own, so that a change of the code or of a bundle does not install them again.
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build
RUN python -m venv --without-pip /opt/interlinea

COPY pyproject.toml ./
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > requirements.txt \
 && python -m pip --python /opt/interlinea/bin/python install --only-binary :all: --requirement requirements.txt

COPY README.md LICENSE ./
COPY service ./service
RUN python -m pip --python /opt/interlinea/bin/python install --no-deps .


# Stage 2 is what runs: that environment, a user without rights, and no compiler.
FROM python:3.11-slim-bookworm

LABEL org.opencontainers.image.title="Interlinea" \
      org.opencontainers.image.description="Self-hosted translation that shows its work: text, attention and word alignments" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-SA-4.0"

RUN groupadd --gid 10001 interlinea \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin interlinea

COPY --from=build /opt/interlinea /opt/interlinea

# ONNX Runtime's released builds report their use to its maker unless they are told not to.
ENV PATH=/opt/interlinea/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    INTERLINEA_HOST=0.0.0.0 \
    INTERLINEA_PORT=8000

USER 10001:10001
WORKDIR /
EXPOSE 8000

# Ready means: every bundle is loaded and has translated a sentence. No proxy stands between.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['INTERLINEA_PORT'] + '/health/ready', timeout=4)"]

CMD ["interlinea", "serve"]
