import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.*;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.generic.*;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Prints the changes of a source in transaction order, whole transactions only, as JSON lines.
 *
 * <pre>mvn -q compile exec:java -Dexec.args="localhost:9092 http://localhost:8081 crm [UNTIL]"</pre>
 *
 * UNTIL is a log position, for example what the source answered to SELECT pg_current_wal_insert_lsn(): the program
 * then ends as soon as it has printed everything that was committed before it. It needs nothing of sluice;
 * docs/records.md explains the format.
 */
public class Reader {
    static final int AHEAD = 1000; // records kept of a partition that is not asked for yet; more stay with the broker
    static final ObjectMapper JSON = new ObjectMapper();

    final String registry, source;
    final HttpClient http = HttpClient.newHttpClient();
    final Map<Integer, Schema> schemas = new HashMap<>();
    final GenericData avro = new GenericData();
    final KafkaConsumer<byte[], byte[]> consumer;
    final Map<TopicPartition, Deque<ConsumerRecord<byte[], byte[]>>> queues = new HashMap<>();

    public static void main(String[] args) throws Exception {
        if (args.length < 3 || args.length > 4) {
            System.err.println("usage: Reader BROKERS REGISTRY SOURCE [UNTIL]");
            System.exit(2);
        }
        String[] until = (args.length == 4 ? args[3] : "7FFFFFFF/FFFFFFFF").split("/");
        new Reader(args[0], args[1], args[2]).run(Long.parseLong(until[0], 16) << 32 | Long.parseLong(until[1], 16));
    }

    Reader(String brokers, String registry, String source) {
        this.registry = registry;
        this.source = source;
        // Dates and times stay numbers, as docs/records.md describes them; only decimals are converted.
        avro.addLogicalTypeConversion(new Conversions.DecimalConversion());
        // A partition that is added waits for the request under way, hence the short fetch.max.wait.ms.
        consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", brokers, "enable.auto.commit", "false",
                "isolation.level", "read_committed", "fetch.max.wait.ms", "50"), new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void run(long until) throws Exception {
        TopicPartition ends = new TopicPartition(topicName(source + ".transaction"), 0);
        while (true) {
            // END records are the order: one for each transaction, as they committed.
            GenericRecord end = decode(next(ends).value());
            if ((long) end.get("commit_lsn") >= until) return;
            Collection<Map<String, Object>> changes = group(end);
            for (Map<String, Object> change : changes) System.out.println(JSON.writeValueAsString(change));
            if (!changes.isEmpty())
                System.out.println(JSON.writeValueAsString(Map.of("end", end.get("id").toString(), "changes", changes.size())));
        }
    }

    /** Gives all changes of the group that end closes, in the order in which they were made. */
    Collection<Map<String, Object>> group(GenericRecord end) throws Exception {
        SortedMap<Long, Map<String, Object>> changes = new TreeMap<>();
        for (GenericRecord collection : records(end.get("data_collections"))) {
            String topic = topicName(source + "." + collection.get("data_collection"));
            if ((long) collection.get("held") > 0) {
                throw new IllegalStateException("changes of " + topic + " wait until the registry takes its schema: start again then (docs/records.md)");
            }
            for (GenericRecord part : records(collection.get("partitions"))) {
                TopicPartition partition = new TopicPartition(topic, (int) part.get("partition"));
                for (long n = (long) part.get("event_count"); n > 0; n--) {
                    Map<String, Object> change = take(partition, end);
                    // A TRUNCATE stands in every partition, under one ordinal: it is one change.
                    changes.put((Long) change.get("ordinal"), change);
                }
            }
        }
        return changes.values();
    }

    /** Gives the next change of the group that end closes, from one partition. */
    Map<String, Object> take(TopicPartition partition, GenericRecord end) throws Exception {
        while (true) {
            ConsumerRecord<byte[], byte[]> record = next(partition);
            byte[] value = record.value();
            var header = record.headers().lastHeader("sluice.value");
            if (value == null && header != null) value = header.value(); // a TRUNCATE
            if (value == null) continue; // a tombstone: the delete before it says the same
            GenericRecord change = decode(value);
            GenericRecord at = (GenericRecord) change.get("source");
            if (((GenericRecord) change.get("transaction")).get("id").equals(end.get("id"))) return show(record.key(), change, at);
            if ((long) at.get("commit_lsn") > (long) end.get("commit_lsn"))
                throw new IllegalStateException("records of " + end.get("id") + " are missing in " + partition + ": the topic's retention has removed them");
            // Else it is of a snapshot that was cut short and never ended: dropped.
        }
    }

    Map<String, Object> show(byte[] key, GenericRecord change, GenericRecord at) throws Exception {
        Map<String, Object> line = new LinkedHashMap<>();
        long lsn = (long) at.get("commit_lsn");
        line.put("lsn", String.format("%X/%X", lsn >>> 32, lsn & 0xFFFFFFFFL));
        line.put("ordinal", at.get("ordinal"));
        line.put("table", at.get("schema") + "." + at.get("table"));
        line.put("op", change.get("op").toString());
        line.put("key", key == null ? null : plain(decode(key)));
        for (String name : List.of("before", "after", "unchanged", "special", "message"))
            line.put(name, change.getSchema().getField(name) == null ? null : plain(change.get(name)));
        return line;
    }

    /** Gives the next record of a partition, waiting for it if need be. */
    ConsumerRecord<byte[], byte[]> next(TopicPartition partition) {
        if (!queues.containsKey(partition)) {
            queues.put(partition, new ArrayDeque<>());
            consumer.assign(queues.keySet()); // those that were assigned go on where they are
            consumer.seekToBeginning(List.of(partition));
        }
        Deque<ConsumerRecord<byte[], byte[]>> queue = queues.get(partition);
        while (queue.isEmpty()) {
            for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofSeconds(1)))
                queues.get(new TopicPartition(r.topic(), r.partition())).add(r);
            queues.forEach((p, q) -> { if (q.size() >= AHEAD) consumer.pause(List.of(p)); });
        }
        if (queue.size() == 1) consumer.resume(List.of(partition));
        return queue.remove();
    }

    /** Decodes the Confluent wire format: a zero byte, the schema's id in 4 bytes, the Avro bytes. */
    GenericRecord decode(byte[] record) throws Exception {
        if (record[0] != 0) throw new IOException("the record does not begin with the byte 0 and a schema id");
        int id = ByteBuffer.wrap(record).getInt(1);
        if (!schemas.containsKey(id)) { // an id never changes its meaning
            HttpRequest ask = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
            String answer = http.send(ask, HttpResponse.BodyHandlers.ofString()).body();
            schemas.put(id, new Schema.Parser().parse(JSON.readTree(answer).get("schema").asText()));
        }
        return new GenericDatumReader<GenericRecord>(schemas.get(id), schemas.get(id), avro)
                .read(null, DecoderFactory.get().binaryDecoder(record, 5, record.length - 5, null));
    }

    /** Turns Avro's objects into those that JSON knows: decimals and bytes become text. */
    static Object plain(Object v) {
        if (v instanceof GenericRecord r) {
            Map<String, Object> fields = new LinkedHashMap<>();
            r.getSchema().getFields().forEach(f -> fields.put(f.name(), plain(r.get(f.pos()))));
            return fields;
        }
        if (v instanceof Map<?, ?> m) {
            Map<String, Object> entries = new LinkedHashMap<>();
            m.forEach((name, value) -> entries.put(name.toString(), plain(value)));
            return entries;
        }
        if (v instanceof Collection<?> c) return c.stream().map(Reader::plain).toList();
        if (v instanceof ByteBuffer b) return HexFormat.of().formatHex(b.array());
        if (v instanceof java.math.BigDecimal d) return d.toPlainString();
        return v instanceof CharSequence ? v.toString() : v;
    }

    @SuppressWarnings("unchecked")
    static List<GenericRecord> records(Object list) {
        return list == null ? List.of() : (List<GenericRecord>) list;
    }

    static String topicName(String name) {
        return name.replaceAll("[^A-Za-z0-9._-]", "_");
    }
}
