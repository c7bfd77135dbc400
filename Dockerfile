# Two images from one file: `core` runs the API, the worker and the migrations; `media` adds offline speech.
#
#   docker build --target core  -t breeze-buddy:local .
#   docker build --target media -t breeze-buddy-media:local .
ARG PYTHON_IMAGE=python:3.12.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY pyproject.toml constraints.txt ./
COPY deploy/select_requirements.py deploy/
# Extras of both images beyond what they need anyway, such as S3's client (docs/recordings.md).
ARG EXTRAS=
RUN python -m venv /opt/breeze \
    && python deploy/select_requirements.py ${EXTRAS} > /tmp/core.txt \
    && /opt/breeze/bin/pip install --require-hashes -r /tmp/core.txt \
    && python deploy/select_requirements.py --only hatchling > /tmp/build.txt \
    && pip install --require-hashes -r /tmp/build.txt
COPY README.md LICENSE ./
COPY breeze_buddy breeze_buddy
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/breeze/bin/pip install --no-deps /dist/*.whl

FROM build AS build-media
RUN python deploy/select_requirements.py --extra speech > /tmp/speech.txt \
    && /opt/breeze/bin/pip install --require-hashes -r /tmp/speech.txt

FROM ${PYTHON_IMAGE} AS runtime
RUN useradd --system --uid 10001 --home-dir /var/lib/breeze --create-home breeze \
    && install -d -o breeze /var/lib/breeze/recordings
ENV PATH=/opt/breeze/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /var/lib/breeze
USER breeze
ENTRYPOINT ["breeze"]
CMD ["--help"]

FROM runtime AS media
COPY --from=build-media /opt/breeze /opt/breeze
EXPOSE 8001

# The last stage is the one built without --target.
FROM runtime AS core
COPY --from=build /opt/breeze /opt/breeze
EXPOSE 8000
