package maven

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// File is one file of a repository, pinned by content.
type File struct {
	Path   string // below the repository's base, for example org/apache/kafka/x/1.0/x-1.0.jar
	SHA256 string // hexadecimal
}

// fetchTime bounds one download: 16 MB at 100 KB/s, with room to spare.
const fetchTime = 5 * time.Minute

// Fetch gives the path of the file in the cache, after downloading and verifying it if need be. A file
// whose content is not the pinned one is an error and is not kept.
func (c *Cache) Fetch(ctx context.Context, f File) (string, error) {
	path := filepath.Join(c.Dir, "files", filepath.Base(f.Path))
	if present(path) {
		return path, nil
	}
	if c.Offline {
		return "", fmt.Errorf("%s: %w", filepath.Base(f.Path), ErrAbsent)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("cannot make the folder of downloads: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	url := c.Base + "/" + f.Path
	if err := c.download(ctx, url, path, f.SHA256); err != nil {
		return "", fmt.Errorf("cannot download %s: %w", url, err)
	}
	return path, nil
}

// download writes beside the target and renames, so that no reader ever sees half a file.
func (c *Cache) download(ctx context.Context, url, path, sum string) error {
	body, err := get(ctx, url)
	if err != nil {
		return err
	}
	defer body.Close()
	part, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part*")
	if err != nil {
		return err
	}
	defer os.Remove(part.Name())
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(part, hash), body)
	if closed := part.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		return fmt.Errorf("its sha256 is %s, not the pinned %s: a damaged or exchanged file", got, sum)
	}
	if err := os.Chmod(part.Name(), 0o644); err != nil {
		return err
	}
	return os.Rename(part.Name(), path)
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("the server answers %s", res.Status)
	}
	return res.Body, nil
}
