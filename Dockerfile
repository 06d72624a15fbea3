# Nightdesk in a container: slim, not root, fit for a read-only root file system. What the sandbox needs of the engine
# stands in docs/guides/hosts.md; `docker compose run --rm nightdesk doctor` says whether it has it.
#
#   docker build -t nightdesk .

FROM python:3.11-slim-bookworm AS build
RUN pip install --no-cache-dir "uv>=0.13,<0.14"
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-install-project --project /src
COPY . .
RUN uv sync --frozen --no-dev --no-editable

FROM python:3.11-slim-bookworm
# hadolint ignore=DL3008 # the newest of each is wanted: these are what a security fix would be of
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git openssh-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin nightdesk \
    && install -d -o nightdesk -g nightdesk -m 0700 /data
COPY --from=build --chown=root:root /src/.venv /src/.venv
ENV PATH=/src/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/data \
    NIGHTDESK_DATA=/data \
    NIGHTDESK_HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8731
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8731/readyz', timeout=4)"]
ENTRYPOINT ["nightdesk"]
CMD ["serve"]
