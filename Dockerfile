# One image for every role: `up` (all in one), `serve` (receiver) and `work` (worker).
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE config.example.yaml ./
COPY router router
COPY handlers handlers
COPY sinks sinks
RUN python -m venv /opt/ats-router \
    && /opt/ats-router/bin/pip install --no-cache-dir --constraint requirements.lock .

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin ats-router \
    && install -d -o ats-router -g ats-router -m 0700 /data
COPY --from=build /opt/ats-router /opt/ats-router
ENV PATH=/opt/ats-router/bin:$PATH PYTHONUNBUFFERED=1 ATS_ROUTER_CONFIG=/etc/ats-router/config.yaml
USER 10001
VOLUME /data
EXPOSE 8080
# A worker listens on no port: give it --no-healthcheck, or a check of your own.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["ats-router"]
CMD ["up", "--host", "0.0.0.0", "--port", "8080", "--data-dir", "/data"]
