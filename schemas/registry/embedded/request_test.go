package embedded

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestBadRequests(t *testing.T) {
	r := reopen(t, t.TempDir())
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     string
	}{
		{"not JSON", "POST", "/subjects/s/versions", "<xml>", 400, `"error_code":400`},
		{"empty body", "POST", "/subjects/s/versions", "", 400, `"error_code":400`},
		{"array", "POST", "/subjects/s/versions", "[]", 400, `"error_code":400`},
		{"no schema", "POST", "/subjects/s/versions", "{}", 422, "42201"},
		{"other type", "POST", "/subjects/s/versions", `{"schema":"{}","schemaType":"PROTOBUF"}`, 422, "42201"},
		{"references", "POST", "/subjects/s/versions", `{"schema":"\"int\"","references":[{"name":"a","subject":"b","version":1}]}`, 422, "42201"},
		{"too long", "POST", "/subjects/s/versions", `{"schema":"` + strings.Repeat("x", maxBody) + `"}`, 413, "413"},
		{"too deep", "POST", "/subjects/s/versions", registerBody(strings.Repeat(`{"type":"array","items":`, 20000)), 422, "42201"},
		{"no such path", "GET", "/nothing/here", "", 404, `"error_code":404`},
		{"no such method", "PATCH", "/subjects", "", 405, `"error_code":405`},
		{"id of text", "GET", "/schemas/ids/seven", "", 404, `"error_code":404`},
		{"id too large", "GET", "/schemas/ids/99999999999999999999", "", 404, `"error_code":404`},
		{"version 0", "GET", "/subjects/s/versions/0", "", 422, "42202"},
		{"subject of control characters", "GET", "/subjects/a%00b/versions", "", 422, "42208"},
		{"id outside import", "POST", "/subjects/s/versions", `{"schema":"\"int\"","id":9}`, 422, "42205"},
		{"mode", "PUT", "/mode", `{"mode":"FAST"}`, 422, "42204"},
		{"no level", "GET", "/config/s", "", 404, "40408"},
		{"no mode", "GET", "/mode/s", "", 404, "40409"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(r, c.method, c.path, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.code) || w.Header().Get("Content-Type") != contentType {
				t.Errorf("%d %s %.200s, want %d with %s", w.Code, w.Header().Get("Content-Type"), w.Body, c.status, c.code)
			}
		})
	}
	if w := ask(r, "GET", "/subjects", ""); w.Body.String() != "[]" {
		t.Errorf("bad requests left %s", w.Body)
	}
}

func TestFormsOfWebPagesAreRefused(t *testing.T) {
	r := reopen(t, t.TempDir())
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"} {
		req := httptest.NewRequest("POST", "/subjects/s/versions", strings.NewReader(`{"schema":"\"int\""}`))
		req.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		r.ServeHTTP(w, req)
		if w.Code != http.StatusUnsupportedMediaType {
			t.Errorf("%s: %d", kind, w.Code)
		}
	}
}

func TestModes(t *testing.T) {
	r := reopen(t, t.TempDir())
	id := mustRegister(t, r, "s", fieldSchema(1))
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"PUT", "/mode/s", `{"mode":"READONLY"}`, 200},
		{"POST", "/subjects/s/versions", registerBody(fieldSchema(2)), 422},
		{"POST", "/subjects/s/versions", registerBody(fieldSchema(1)), 200}, // it is there already
		{"DELETE", "/subjects/s", "", 422},
		{"DELETE", "/mode/s", "", 200},
		{"PUT", "/mode", `{"mode":"IMPORT"}`, 422}, // ids are given already
		{"PUT", "/mode/new", `{"mode":"IMPORT"}`, 200},
		{"POST", "/subjects/new/versions", registerBody(fieldSchema(3)), 422}, // without an id
		{"POST", "/subjects/new/versions", `{"schema":"\"int\"","id":700,"version":4}`, 200},
		{"POST", "/subjects/new/versions", `{"schema":"\"long\"","id":1}`, 422},  // the id means another schema
		{"POST", "/subjects/new/versions", `{"schema":"\"int\"","id":701}`, 422}, // it has id 700
		{"PUT", "/mode", `{"mode":"READONLY_OVERRIDE"}`, 200},
		{"POST", "/subjects/s/versions", registerBody(fieldSchema(2)), 422},
		{"DELETE", "/mode", "", 200},
		{"POST", "/subjects/s/versions", registerBody(fieldSchema(2)), 200},
	} {
		if w := ask(r, c.method, c.path, c.body); w.Code != c.status {
			t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, w.Code, w.Body, c.status)
		}
	}
	if got := ask(r, "GET", "/subjects/new/versions/4", "").Body.String(); !strings.Contains(got, `"id":700`) {
		t.Error(got)
	}
	if next := mustRegister(t, r, "t", fieldSchema(9)); next <= 700 || id != 1 {
		t.Errorf("id %d after 700 was imported", next)
	}
}

// TestImpliedDefaultIsNone holds the embedded registry to what Java's and Python's readers do: a new
// field ["null", T] without a default cannot be filled in for older records.
func TestImpliedDefaultIsNone(t *testing.T) {
	r := reopen(t, t.TempDir())
	mustRegister(t, r, "s", `{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`)
	for field, compatible := range map[string]bool{
		`{"name":"b","type":["null","string"]}`:                false,
		`{"name":"b","type":["string","null"]}`:                false,
		`{"name":"b","type":["null","string"],"default":null}`: true,
	} {
		body := registerBody(`{"type":"record","name":"R","fields":[{"name":"a","type":"int"},` + field + `]}`)
		w := ask(r, "POST", "/compatibility/subjects/s/versions/1?verbose=true", body)
		if strings.Contains(w.Body.String(), "true") != compatible {
			t.Errorf("%s: %s", field, w.Body)
		}
	}
}

func TestServe(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := reopen(t, t.TempDir())
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Serve(ctx, l) }()
	c := &http.Client{Transport: &http.Transport{}, Timeout: 5 * time.Second}
	resp, err := c.Get("http://" + l.Addr().String() + "/subjects")
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	if _, err := Listen(l.Addr().String()); err == nil || !strings.Contains(err.Error(), "schemas.embedded_listen") {
		t.Errorf("%v", err)
	}
	c.CloseIdleConnections()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}

func FuzzSchema(f *testing.F) {
	for _, s := range []string{
		`"string"`, `string`, `{"type":"record","name":"R","fields":[]}`, `["null",{"type":"array","items":"int"}]`,
		`{"type":"enum","name":"E","symbols":["a"],"default":"a"}`, `{"type":"fixed","name":"F","size":4}`,
		`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, `{"type":{"type":"map","values":"R"}}`,
		`{"type":"record","name":"R","fields":[{"name":"a","type":["null","R"],"default":null}]}`, `{"fields":[1,null,{"type":[]}]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stored, err := checkSchema(text)
		if err != nil {
			return
		}
		if again, err := checkSchema(stored); err != nil || again != stored {
			t.Fatalf("stored as %q, which reads as %q, %v", stored, again, err)
		}
		a := newSchema(1, stored)
		if a.identity != newSchema(2, a.identity).identity {
			t.Fatalf("identity of %q is not stable: %q", stored, a.identity)
		}
		if _, err := a.parse(); err != nil {
			t.Fatalf("%q is good, but not for comparing: %v", stored, err)
		}
	})
}
