#!/usr/bin/env python3
"""Prints what a running kestrel-agent sees, and writes the last labels as a PNG. Needs nothing but Python 3.

    python3 read_labels.py /run/kestrel/labels.sock [--frames N] [--png FILE]

The messages are described in docs/label-output.md.
"""

import argparse
import json
import socket
import struct
import sys
import zlib

HELLO, LABELS = 1, 2


def main():
    parser = argparse.ArgumentParser(description="Prints what a running kestrel-agent sees.")
    parser.add_argument("socket")
    parser.add_argument("--frames", type=int, help="stop after so many")
    parser.add_argument("--png", metavar="FILE", help="write the last labels as a picture")
    options = parser.parse_args()
    classes, palette = [], []
    count, frame = 0, None
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(options.socket)
            for kind, message, body in messages(connection):
                if kind == HELLO:
                    hello = json.loads(body[: struct.unpack_from("<I", message, 8)[0]])
                    classes, palette = hello["classes"], hello["palette"]
                elif kind == LABELS:
                    count, frame = count + 1, read_labels(message, body)
                    print(describe(frame, classes), flush=True)
                if count == options.frames:
                    break
                # "Next, please": from the first such byte on one frame comes for each, always the newest.
                connection.sendall(b"n")
    except (OSError, EOFError) as error:
        sys.exit(f"{options.socket}: {error}")
    except KeyboardInterrupt:
        pass
    if frame is not None and options.png is not None:
        with open(options.png, "wb") as file:
            file.write(encode_png(frame, palette))


def messages(connection):
    """Kind, whole message, and what follows its header, one message after the other."""
    while True:
        (length,) = struct.unpack("<I", receive(connection, 4))
        message = receive(connection, length)
        magic, _version, kind, header_bytes = struct.unpack_from("<4sBBH", message)
        if magic != b"KLBL":
            raise OSError("this is no label socket of Kestrel")
        yield kind, message, message[header_bytes:]


def receive(connection, length):
    parts = bytearray()
    while len(parts) < length:
        part = connection.recv(length - len(parts))
        if not part:
            raise EOFError("the agent closed the connection")
        parts += part
    return bytes(parts)


def read_labels(message, body):
    frame_id, capture_us, sequence, version, latency_us, width, height, _classes, _, runs, _bytes = (
        struct.unpack_from("<QqIIIHHHHII", message, 8)
    )
    labels, at = bytearray(), 0
    for _ in range(runs):
        label, length, shift = body[at], 0, 0
        while True:
            at += 1
            length |= (body[at] & 127) << shift
            shift += 7
            if body[at] < 128:
                break
        at += 1
        labels += bytes([label]) * length
    return {
        "id": frame_id,
        "capture_us": capture_us,
        "sequence": sequence,
        "version": version,
        "latency_ms": latency_us / 1000,
        "width": width,
        "height": height,
        "labels": labels,
    }


def describe(frame, classes):
    labels = frame["labels"]
    shares = [(labels.count(label) / len(labels), name) for label, name in enumerate(classes)]
    seen = ", ".join(f"{name} {100 * share:.1f} %" for share, name in sorted(shares, reverse=True) if share > 0)
    return (
        f"frame {frame['id']}, {frame['width']}x{frame['height']}, model version {frame['version']}, "
        f"{frame['latency_ms']:.1f} ms: {seen}"
    )


def encode_png(frame, palette):
    """A PNG with a palette (https://www.w3.org/TR/png): its pixels are the labels themselves."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    width, height, labels = frame["width"], frame["height"], frame["labels"]
    colours = b"".join(bytes(colour) for colour in palette).ljust(3 * 256, b"\0")
    rows = b"".join(b"\0" + labels[y * width : (y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"PLTE", colours)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


if __name__ == "__main__":
    main()
