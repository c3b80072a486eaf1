"""Reads an MCAP file by its specification (https://mcap.dev/spec), with nothing of ours and nothing but Python's own library: every record in
its place, every checksum, every index. Prints topic, sequence and log time of each message, as the indexes find them."""
import struct
import sys
import zlib

data = open(sys.argv[1], "rb").read()
MAGIC = b"\x89MCAP0\r\n"
assert data[:8] == MAGIC and data[-8:] == MAGIC


def records(view, at, end):
    while at < end:
        opcode, length = view[at], struct.unpack_from("<Q", view, at + 1)[0]
        yield opcode, at, view[at + 9 : at + 9 + length], at + 9 + length
        at += 9 + length
    assert at == end, (at, end)


def string(body, at):
    (length,) = struct.unpack_from("<I", body, at)
    return body[at + 4 : at + 4 + length].decode(), at + 4 + length


summary_start, offset_start, summary_crc = struct.unpack("<QQI", data[-28:-8])
assert zlib.crc32(data[summary_start:-12]) == summary_crc
end_at = summary_start - 13
assert data[end_at] == 0x0F and zlib.crc32(data[:end_at]) == struct.unpack("<I", data[summary_start - 4 : summary_start])[0]

chunks, indexes, metadata, attachments = {}, {}, {}, {}
for opcode, at, body, after in records(data, 8, end_at):
    if opcode == 0x06:
        start, end, size, crc = struct.unpack_from("<QQQI", body)
        compression, pos = string(body, 28)
        assert compression == "" and struct.unpack_from("<Q", body, pos)[0] == size
        assert zlib.crc32(body[pos + 8 :]) == crc
        chunks[at] = (start, end, body[pos + 8 :], after - at)
    elif opcode == 0x07:
        indexes[at] = body
    elif opcode == 0x0C:
        metadata[at] = (string(body, 0)[0], after - at)
    elif opcode == 0x09:
        (crc,) = struct.unpack("<I", body[-4:])
        assert zlib.crc32(body[:-4]) == crc
        attachments[at] = after - at

topics, schemas, counted, found = {}, {}, {}, []
for opcode, at, body, after in records(data, summary_start, offset_start):
    if opcode == 0x03:
        schemas[struct.unpack_from("<H", body)[0]] = string(body, 2)[0]
    elif opcode == 0x04:
        channel, schema = struct.unpack_from("<HH", body)
        topics[channel] = string(body, 4)[0]
        assert schema in schemas
    elif opcode == 0x0B:
        (messages,) = struct.unpack_from("<Q", body)
        (length,) = struct.unpack_from("<I", body, 42)
        for i in range(46, 46 + length, 10):
            channel, count = struct.unpack_from("<HQ", body, i)
            counted[channel] = count
        assert sum(counted.values()) == messages
    elif opcode == 0x0D:
        offset, length = struct.unpack_from("<QQ", body)
        assert metadata.pop(offset) == (string(body, 16)[0], length)
    elif opcode == 0x0A:
        offset, length = struct.unpack_from("<QQ", body)
        assert attachments.pop(offset) == length
    elif opcode == 0x08:
        start, end, offset, length, pairs = struct.unpack_from("<QQQQI", body)
        assert chunks[offset][0:2] == (start, end) and chunks[offset][3] == length
        inside = chunks.pop(offset)[2]
        for i in range(36, 36 + pairs, 10):
            channel, where = struct.unpack_from("<HQ", body, i)
            index = indexes.pop(where)
            assert struct.unpack_from("<H", index)[0] == channel
            for k in range(6, len(index), 16):
                time, position = struct.unpack_from("<QQ", index, k)
                assert inside[position] == 0x05 and start <= time <= end
                one, sequence, log_time, publish_time = struct.unpack_from("<HIQQ", inside, position + 9)
                assert one == channel and log_time == time
                found.append((topics[channel], sequence, time))
assert not chunks and not indexes and not metadata and not attachments, "something is not indexed"
for channel, topic in topics.items():
    assert counted.get(channel, 0) == sum(1 for name, _, _ in found if name == topic)
for topic, sequence, time in found:
    print(topic, sequence, time)
