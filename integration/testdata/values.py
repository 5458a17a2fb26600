"""Decodes records with fastavro and prints their values in a form that another library can be held to.

Reads JSON lines {"id": row, "schema": text, "body": hex} from the file in argv; the schemas have no
logical types, so that numbers and bytes come as they stand. Prints one line for each record.
"""
import hashlib
import io
import json
import struct
import sys

import fastavro

schemas = {}


def schema(text):
    if text not in schemas:
        schemas[text] = fastavro.parse_schema(json.loads(text))
    return schemas[text]


def canonical_text(v):
    if v is None:
        return "null"
    if isinstance(v, bool):
        return "bool true" if v else "bool false"
    if isinstance(v, int):
        return f"int {v}"
    if isinstance(v, float):
        return "float " + struct.pack(">d", v).hex()
    if isinstance(v, bytes):
        return "bytes " + v.hex()
    if isinstance(v, str):
        return "string " + v
    return "[" + "|".join(canonical_text(item) for item in v) + "]"


def canonical(v):
    text = canonical_text(v).encode()
    if len(text) > 200:
        return "sha256 " + hashlib.sha256(text).hexdigest()
    return text.decode()


for line in open(sys.argv[1]):
    record = json.loads(line)
    envelope = fastavro.schemaless_reader(io.BytesIO(bytes.fromhex(record["body"])), schema(record["schema"]))
    row, special = envelope["after"] or {}, envelope["special"] or {}
    parts = [f"{record['id']} {envelope['op']}"]
    parts += [f"{name}={canonical(row[name])}" for name in sorted(row)]
    parts += [f"special.{name}={canonical(special[name])}" for name in sorted(special)]
    print(" ".join(parts).replace("\n", "\\n"))
