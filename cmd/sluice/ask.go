package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// askTime bounds one question; the process answers from memory.
const askTime = 3 * time.Second

// maxStatus bounds an answer, in bytes: a hundred sinks need a tenth of it.
const maxStatus = 1 << 20

func ask(ctx context.Context, address string) (*processStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(address)+"/api/status", nil)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", address, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, reason(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s: another program may listen there", resp.Status)
	}
	var s processStatus
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxStatus)).Decode(&s); err != nil {
		return nil, fmt.Errorf("its answer is not a status of sluice: %w", err)
	}
	return &s, nil
}
