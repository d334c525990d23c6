# LCTR on NVIDIA GPUs. Build in a checkout, then train with data and runs kept outside:
#
#     docker build -t lctr_jax .
#     docker run --gpus all --shm-size=16g -v "$PWD/data:/data" -v "$PWD/runs:/runs" lctr_jax \
#         lctr-train --config cub --config.data.data_dir=/data --workdir /runs/cub
#
# CUDA's libraries come as Python packages with the extra; the image gives the base system that NVIDIA's
# container runtime expects. For another CUDA: --build-arg EXTRA=cuda13.
FROM nvidia/cuda:12.9.1-base-ubuntu24.04

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG EXTRA=cuda12

# Ubuntu keeps no older versions to ask for.
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

RUN python3 -m venv /opt/lctr
ENV PATH=/opt/lctr/bin:$PATH \
    PYTHONUNBUFFERED=1

# What the package needs changes less often than the package: its layer is kept from build to build.
WORKDIR /opt/source
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt

COPY pyproject.toml README.md LICENSE ./
COPY configs ./configs
COPY lctr_jax ./lctr_jax
# Versions are bounded in pyproject.toml.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[${EXTRA},torch]" \
    && rm -rf /opt/source/*

# Any user works, also one without a home: docker run --user "$(id -u):$(id -g)".
RUN useradd --create-home --uid 10001 lctr \
    && mkdir -p /data /runs \
    && chown 10001 /data /runs
USER 10001
WORKDIR /runs
CMD ["lctr-train", "--help"]
