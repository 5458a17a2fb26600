"""Prints the changes of a source in transaction order, whole transactions only, as JSON lines.

usage: reader.py BROKERS REGISTRY SOURCE [UNTIL]

    python reader.py localhost:9092 http://localhost:8081 crm
    python reader.py localhost:9092 http://localhost:8081 crm 0/1D4CA98

UNTIL is a log position, for example what the source answered to SELECT pg_current_wal_insert_lsn():
the program then ends as soon as it has printed everything that was committed before it.

Needs nothing of sluice: pip install confluent-kafka fastavro. docs/records.md explains the format.
"""
import collections
import decimal
import io
import json
import re
import sys
import urllib.request

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition


class Registry:
    """Decodes records by the schemas of a Confluent-compatible registry."""

    def __init__(self, url):
        self.url, self.schemas = url.rstrip("/"), {}

    def decode(self, record):
        # The Confluent wire format: a zero byte, the schema's id in 4 bytes, the Avro bytes.
        if record[0] != 0:
            raise ValueError("the record does not begin with the byte 0 and a schema id")
        schema = self.schema(int.from_bytes(record[1:5], "big"))
        return fastavro.schemaless_reader(io.BytesIO(record[5:]), schema)

    def schema(self, number):
        if number not in self.schemas:  # an id never changes its meaning
            with urllib.request.urlopen(f"{self.url}/schemas/ids/{number}") as answer:
                text = json.load(answer)["schema"]
            self.schemas[number] = fastavro.parse_schema(plain(json.loads(text)))
        return self.schemas[number]


def plain(schema):
    """Leaves dates and times as the numbers that they are: Python's types end with the year 9999."""
    if isinstance(schema, list):
        return [plain(s) for s in schema]
    if isinstance(schema, dict):
        return {k: plain(v) for k, v in schema.items() if k != "logicalType" or v == "decimal"}
    return schema


class Partitions:
    """Gives the records of each partition in order, whichever is asked for."""

    AHEAD = 1000  # records kept of a partition that is not asked for yet; more stay with the broker

    def __init__(self, brokers):
        self.consumer = Consumer({
            "bootstrap.servers": brokers,
            "group.id": "sluice-example",  # a name is required; nothing is committed under it
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,  # a partition that is added waits for the request under way
        })
        self.queues = {}

    def next(self, topic, number):
        partition = (topic, number)
        if partition not in self.queues:
            self.queues[partition] = collections.deque()
            self.consumer.incremental_assign([TopicPartition(topic, number, OFFSET_BEGINNING)])
        queue = self.queues[partition]
        while not queue:
            self.poll()
        if len(queue) == 1:
            self.consumer.resume([TopicPartition(topic, number)])
        return queue.popleft()

    def poll(self):
        message = self.consumer.poll(1.0)
        if message is None:
            return
        if message.error():
            raise RuntimeError(message.error())
        partition = (message.topic(), message.partition())
        self.queues[partition].append(message)
        if len(self.queues[partition]) == self.AHEAD:
            self.consumer.pause([TopicPartition(*partition)])


def take(partitions, registry, topic, number, end):
    """Gives the next change of the group that end closes, from one partition."""
    while True:
        message = partitions.next(topic, number)
        value = message.value()
        if value is None:  # a TRUNCATE, whose envelope is in a header, or a tombstone
            value = dict(message.headers() or []).get("sluice.value")
        if value is None:  # a tombstone: the delete before it says the same
            continue
        change = registry.decode(value)
        if change["transaction"]["id"] == end["id"]:
            change["key"] = registry.decode(message.key()) if message.key() else None
            return change
        if change["source"]["commit_lsn"] > end["commit_lsn"]:
            sys.exit(f"records of {end['id']} are missing in {topic}: the topic's retention has removed them")
        # Else it is of a snapshot that was cut short and never ended: dropped.


NOTICES = {}  # of tables that are or were held, by table and group


def released(partitions, source, table, end):
    """Waits until changes that the registry did not take at first are in their topic, and tells where."""
    while (table, end["id"]) not in NOTICES:
        notice = json.loads(partitions.next(topic_name(f"{source}.sluice.held"), 1).value())
        NOTICES[notice["table"], notice.get("group")] = notice.get("partitions", {})
    return [(int(number), count) for number, count in NOTICES.pop((table, end["id"])).items()]


def group(partitions, registry, source, end):
    """Gives all changes of the group that end closes, in the order in which they were made."""
    changes = {}
    for collection in end["data_collections"] or []:
        topic = topic_name(f"{source}.{collection['data_collection']}")
        parts = [(part["partition"], part["event_count"]) for part in collection["partitions"]]
        if collection["held"]:
            parts += released(partitions, source, collection["data_collection"], end)
        for number, count in parts:
            for _ in range(count):
                change = take(partitions, registry, topic, number, end)
                # A TRUNCATE stands in every partition, under one ordinal: it is one change.
                changes[change["source"]["ordinal"]] = change
    return [changes[ordinal] for ordinal in sorted(changes)]


def topic_name(name):
    return re.sub("[^A-Za-z0-9._-]", "_", name)


def lsn(number):
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def text(value):
    """Writes what JSON has no form for: decimals in full, bytes in hexadecimal."""
    return format(value, "f") if isinstance(value, decimal.Decimal) else value.hex()


def show(change):
    source = change["source"]
    line = {"lsn": lsn(source["commit_lsn"]), "ordinal": source["ordinal"], "table": f"{source['schema']}.{source['table']}"}
    for name in ("op", "key", "before", "after", "unchanged", "special", "message"):
        line[name] = change.get(name)
    print(json.dumps(line, default=text, ensure_ascii=False))


def main(brokers, registry_url, source, until="FFFFFFFF/FFFFFFFF"):
    high, low = until.split("/")
    until = int(high, 16) << 32 | int(low, 16)
    registry, partitions = Registry(registry_url), Partitions(brokers)
    while True:
        # END records are the order: one for each transaction, as they committed.
        end = registry.decode(partitions.next(topic_name(source + ".transaction"), 0).value())
        if end["commit_lsn"] >= until:
            return
        changes = group(partitions, registry, source, end)
        for change in changes:
            show(change)
        if changes:
            print(json.dumps({"end": end["id"], "changes": len(changes)}), flush=True)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
