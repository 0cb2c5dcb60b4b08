# syntax=docker/dockerfile:1
# One image for API and worker. Build: docker compose build. The model registry is mounted, not built in.

FROM python:3.12-slim AS build
WORKDIR /build
RUN python -m venv /opt/driftgauge
COPY pyproject.toml constraints.txt README.md ./
COPY driftgauge driftgauge
COPY shared shared
COPY producer producer
COPY consumer consumer
COPY models models
RUN /opt/driftgauge/bin/pip install --no-cache-dir --constraint constraints.txt '.[server,local,s3]'

FROM python:3.12-slim
# LightGBM needs the OpenMP runtime
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/driftgauge driftgauge \
    && install --directory --owner driftgauge /var/lib/driftgauge/data /var/lib/driftgauge/registry /var/lib/driftgauge/reports
COPY --from=build /opt/driftgauge /opt/driftgauge
ENV PATH=/opt/driftgauge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DRIFTGAUGE_DATA_DIR=/var/lib/driftgauge/data \
    DRIFTGAUGE_REGISTRY_DIR=/var/lib/driftgauge/registry \
    DRIFTGAUGE_REPORTS_DIR=/var/lib/driftgauge/reports
USER driftgauge
WORKDIR /var/lib/driftgauge
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["driftgauge"]
CMD ["serve"]
