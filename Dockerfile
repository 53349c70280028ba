# Two images: `docker build .` serves on the CPU, `docker build --target cuda .` on an NVIDIA GPU.
#
# Everything that is installed comes as a wheel, so no stage needs a compiler, and the same file
# builds for linux/amd64 and linux/arm64.

# What both builds start from: an empty virtual environment and the list of what goes into it.
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build
RUN python -m venv --without-pip /opt/interlinea
COPY pyproject.toml deploy/requirements.py ./


# The dependencies, a layer of their own: a change of code or of a bundle does not install them
# again, nor is it pulled again.
FROM build AS dependencies
RUN python requirements.py > requirements.txt \
 && python -m pip --python /opt/interlinea/bin/python install --only-binary :all: --requirement requirements.txt \
 && mkdir /licenses \
 && /opt/interlinea/bin/python requirements.py --installed > /licenses/python-packages.txt


# The same with the ONNX Runtime for CUDA in the place of the usual one, and CUDA's libraries.
FROM build AS dependencies-cuda
RUN python requirements.py --cuda > requirements.txt \
 && python -m pip --python /opt/interlinea/bin/python install --only-binary :all: --requirement requirements.txt \
 && mkdir /licenses \
 && /opt/interlinea/bin/python requirements.py --installed > /licenses/python-packages.txt


# The service itself and its bundles. The prefix is laid over the environment later.
FROM build AS package
COPY README.md LICENSE NOTICE ./
COPY service ./service
RUN python -m pip --python /opt/interlinea/bin/python install --no-deps --prefix /package .


# What both images share: a user without rights, a place for state, and no compiler.
FROM python:3.11-slim-bookworm AS runtime

LABEL org.opencontainers.image.title="Interlinea" \
      org.opencontainers.image.description="Self-hosted translation that shows its work: text, attention and word alignments" \
      org.opencontainers.image.licenses="Apache-2.0 AND CC-BY-SA-4.0" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm"

RUN groupadd --gid 10001 interlinea \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin interlinea \
 && install --directory --owner 10001 --group 10001 --mode 0750 /var/lib/interlinea \
 && install --directory /bundles

COPY LICENSE NOTICE /licenses/

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
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['INTERLINEA_PORT'] + '/health/ready', timeout=4)"]

CMD ["interlinea", "serve"]


FROM runtime AS cuda
COPY --from=dependencies-cuda /opt/interlinea /opt/interlinea
COPY --from=dependencies-cuda /licenses /licenses
COPY --from=package /package /opt/interlinea

# What NVIDIA's container toolkit is to hand in.
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"


# The last stage is the one that is built where none is named.
FROM runtime AS cpu
COPY --from=dependencies /opt/interlinea /opt/interlinea
COPY --from=dependencies /licenses /licenses
COPY --from=package /package /opt/interlinea

ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
