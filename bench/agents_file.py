"""Reads agents.npy of a run (host/agent_records.h) where there is no NumPy. With NumPy it is
numpy.load("agents.npy")."""

import ast
import math
import struct


def read_records(path):
    """Every record, in order: {column: value}; bytes are text, NaN is None as in JSON."""
    with open(path, "rb") as file:
        content = file.read()
    magic, length = struct.unpack_from("<8sH", content)
    if magic != b"\x93NUMPY\x01\x00":
        raise ValueError(f"{path} is no NumPy file of version 1.0")
    header = ast.literal_eval(content[10:10 + length].decode("latin-1").strip())
    formats = {"|S8": "8s", "<u8": "Q", "<f8": "d"}
    names = [name for name, _ in header["descr"]]
    record = struct.Struct("<" + "".join(formats[type] for _, type in header["descr"]))
    count, begin = header["shape"][0], 10 + length
    rows = []
    for at in range(begin, begin + count * record.size, record.size):
        values = record.unpack_from(content, at)
        rows.append({name: plain(value) for name, value in zip(names, values)})
    return rows


def plain(value):
    if isinstance(value, bytes):
        return value.rstrip(b"\0").decode()
    return None if isinstance(value, float) and math.isnan(value) else value
