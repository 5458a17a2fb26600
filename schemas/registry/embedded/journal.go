package embedded

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// journalName is the log's file in the registry's folder.
const journalName = "registry.jsonl"

// maxLine bounds a line read back; a schema is at most maxBody, and escaping at most sextuples it.
const maxLine = 8 * maxBody

// line is one line of the log. The sum finds what a disk changed inside a line that still reads as
// JSON.
type line struct {
	CRC32C uint32          `json:"crc32c"`
	Entry  json.RawMessage `json:"entry"`
}

// journal is the append-only log. Its owner's lock orders the calls.
type journal struct {
	file   *os.File
	size   int64 // of the lines that are whole and on disk
	broken error // set when the file's end is not known any more: nothing is written until a restart
}

// openJournal locks the folder's log and gives its entries to apply in order.
func openJournal(dir string, log *slog.Logger, apply func(entry) error) (*journal, error) {
	path := filepath.Join(dir, journalName)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the schema registry's folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the schema registry's log: %w", err)
	}
	j := &journal{file: f}
	if err := j.load(dir, log, apply); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return j, nil
}

func (j *journal) load(dir string, log *slog.Logger, apply func(entry) error) error {
	if err := unix.Flock(int(j.file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("cannot lock %s: another process serves this schema registry; stop it, or choose another data_dir: %w", j.file.Name(), err)
	}
	if err := j.replay(apply); err != nil {
		return err
	}
	if err := j.cutTail(log); err != nil {
		return err
	}
	return syncDir(dir)
}

// replay reads every whole line and leaves size at the end of the last one.
func (j *journal) replay(apply func(entry) error) error {
	in := bufio.NewReaderSize(j.file, 64<<10)
	for n := 1; ; n++ {
		text, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF):
			return nil // text, if any, was being written when the process or the machine died
		case err != nil:
			return fmt.Errorf("cannot read line %d of %s: %w", n, j.file.Name(), err)
		case isUnwritten(text) && atEnd(in):
			return nil
		}
		e, err := decodeLine(text)
		if err == nil {
			err = apply(e)
		}
		if err != nil {
			return fmt.Errorf("line %d of %s is damaged, and ids of schemas that Kafka's records name may hang on it: restore the file from a backup: %w", n, j.file.Name(), err)
		}
		j.size += int64(len(text))
	}
}

// readLine gives the next line with its end, or io.EOF where the file ends before the line does.
func readLine(in *bufio.Reader) ([]byte, error) {
	var text []byte
	for {
		part, err := in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > maxLine:
			return nil, fmt.Errorf("longer than %d bytes", maxLine)
		case !errors.Is(err, bufio.ErrBufferFull):
			return text, err
		}
	}
}

// isUnwritten tells a last line whose blocks the file system had made room for but not written when
// power was lost: they read as zeros.
func isUnwritten(text []byte) bool { return bytes.IndexByte(text, 0) >= 0 }

func atEnd(in *bufio.Reader) bool {
	_, err := in.Peek(1)
	return errors.Is(err, io.EOF)
}

func decodeLine(text []byte) (entry, error) {
	var l line
	var e entry
	if err := json.Unmarshal(text, &l); err != nil {
		return e, err
	}
	if got := checksum(l.Entry); got != l.CRC32C {
		return e, fmt.Errorf("checksum %d, want %d", got, l.CRC32C)
	}
	return e, json.Unmarshal(l.Entry, &e)
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// cutTail drops what an interrupted write left behind. It was never answered, so nobody counts on it.
func (j *journal) cutTail(logger *slog.Logger) error {
	end, err := j.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("cannot find the end of %s: %w", j.file.Name(), err)
	}
	if end == j.size {
		return nil
	}
	logger.Warn("schema registry's last write was cut short and is dropped; it was never acknowledged", "file", j.file.Name(), "bytes", end-j.size)
	return j.truncate()
}

// append puts e on disk.
func (j *journal) append(e entry) error {
	if j.broken != nil {
		return j.broken
	}
	text, err := encodeLine(e)
	if err != nil {
		return err
	}
	if _, err := j.file.WriteAt(text, j.size); err != nil {
		if terr := j.truncate(); terr != nil {
			j.broken = terr
		}
		return fmt.Errorf("cannot write the schema registry's log: %w", err)
	}
	// After an fsync that failed nobody can say what is on disk, not even by another fsync.
	if err := j.file.Sync(); err != nil {
		j.broken = fmt.Errorf("cannot sync the schema registry's log, restart to go on: %w", err)
		return j.broken
	}
	j.size += int64(len(text))
	return nil
}

func encodeLine(e entry) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(line{CRC32C: checksum(body), Entry: body})
	return append(text, '\n'), err
}

func (j *journal) truncate() error {
	if err := j.file.Truncate(j.size); err != nil {
		return fmt.Errorf("cannot cut %s back to its last whole line: %w", j.file.Name(), err)
	}
	return j.file.Sync()
}

func (j *journal) close() error {
	if j.broken == nil {
		j.broken = errors.New("the schema registry is closed")
	}
	return j.file.Close()
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("cannot open the schema registry's folder: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}
