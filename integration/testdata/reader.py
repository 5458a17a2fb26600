"""Reads a source's topics as a stranger would: confluent-kafka, fastavro, and the registry's HTTP API.

usage: reader.py BROKERS REGISTRY SOURCE
Prints one JSON object: for each table topic the count of changes by op and the rows that remain when
all are replayed, and how many transactions the transaction topic closed with counts that agree.
"""
import io
import json
import sys
import urllib.request

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

brokers, registry, source = sys.argv[1:4]
schemas = {}


def schema(number):
    if number not in schemas:
        with urllib.request.urlopen(f"{registry}/schemas/ids/{number}") as answer:
            schemas[number] = fastavro.parse_schema(json.loads(json.load(answer)["schema"]))
    return schemas[number]


def decode(b):
    if b is None:
        return None
    if b[0] != 0:
        raise ValueError("no Confluent framing")
    return fastavro.schemaless_reader(io.BytesIO(b[5:]), schema(int.from_bytes(b[1:5], "big")))


def records(consumer, topic):
    """Gives every record of the topic up to its end; markers, which carry no data, do not come."""
    numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
    ended = set()
    while len(ended) < len(numbers):
        message = consumer.poll(30)
        if message is None:
            raise RuntimeError(f"{topic} gives nothing more, and no end")
        if not message.error():
            yield message
        elif message.error().code() == KafkaError._PARTITION_EOF:
            ended.add(message.partition())
        else:
            raise RuntimeError(message.error())


consumer = Consumer({
    "bootstrap.servers": brokers, "group.id": "stranger", "enable.auto.commit": False,
    "enable.partition.eof": True, "isolation.level": "read_committed",
})
names = [n for n in consumer.list_topics(timeout=10).topics if n.startswith(source + ".")]
result, seen = {}, {}
for topic in sorted(names):
    if topic.endswith((".transaction", ".sluice.state")):
        continue
    ops, rows = {}, {}
    truncates = set()
    for message in records(consumer, topic):
        headers = dict(message.headers() or [])
        value = message.value()
        if value is None and headers.get("sluice.op") == b"t":
            value = headers["sluice.value"]
        if value is None:
            continue  # a tombstone: its delete stands before it
        envelope = decode(value)
        group = envelope["transaction"]["id"]
        position = (envelope["source"]["commit_lsn"], envelope["source"]["ordinal"])
        if envelope["op"] == "t":
            if position not in truncates:
                truncates.add(position)
                ops["t"] = ops.get("t", 0) + 1
                seen[group] = seen.get(group, 0) + 1
            continue
        ops[envelope["op"]] = ops.get(envelope["op"], 0) + 1
        seen[group] = seen.get(group, 0) + 1
        if message.key() is not None:
            key = json.dumps(decode(message.key()), default=str)
            rows.setdefault(key, []).append((position, envelope["op"]))
    last = [sorted(r)[-1] for r in rows.values()]
    alive = sum(1 for position, op in last if op != "d" and not any(t > position for t in truncates))
    result[topic] = {"ops": ops, "alive": alive}

closed, wrong = 0, []
for message in records(consumer, source + ".transaction"):
    end = decode(message.value())
    if end["status"] != "END":
        continue
    closed += 1
    if seen.get(end["id"], 0) != end["event_count"]:
        wrong.append({"id": end["id"], "want": end["event_count"], "have": seen.get(end["id"], 0)})
consumer.close()
print(json.dumps({"topics": result, "transactions": closed, "wrong": wrong}))
