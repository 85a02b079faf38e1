# winogen on a laptop, or as a service: docs/use/serve.md#in-a-container. The device is emulated.
FROM python:3.11-slim

# Else pynq compiles libraries for a board's peripherals where the processor is one that boards have.
ENV PYNQ_BUILD_ARCH=none \
    PYTHONUNBUFFERED=1

RUN useradd --create-home --uid 1000 winogen

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY driver driver
COPY hw_src hw_src
COPY notebooks notebooks
COPY overlay overlay
RUN pip install --no-cache-dir '.[serve,video,onnx]'

USER winogen
WORKDIR /home/winogen

# All addresses of the container; which of the machine's lead there, `docker run -p` says. Whoever
# may reach them may ask: give WINOGEN_TOKEN where that is anybody else than you.
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["winogen"]
CMD ["serve", "digits", "--host", "0.0.0.0"]
