package embedded_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/schemas/registry/embedded"
)

// The conformance suite speaks HTTP, so that it is held against a registry of another make too: Apicurio,
// or the one whose URL is in SLUICE_TEST_REGISTRY, for example http://127.0.0.1:8081/apis/ccompat/v7.

// api is one registry under test, with subjects of its own for every test.
type api struct {
	t       *testing.T
	url     string
	prefix  string
	foreign bool
}

func conformance(t *testing.T, f func(t *testing.T, a *api)) {
	t.Run("ours", func(t *testing.T) {
		f(t, &api{t: t, url: serve(t, open(t, t.TempDir())), prefix: "t-"})
	})
	t.Run("foreign", func(t *testing.T) {
		foreign := os.Getenv("SLUICE_TEST_REGISTRY")
		if foreign == "" {
			foreign = harness.SharedApicurio(t)
		}
		t.Cleanup(http.DefaultClient.CloseIdleConnections)
		f(t, &api{t: t, url: strings.TrimSuffix(foreign, "/"), prefix: fmt.Sprintf("t%d-", time.Now().UnixNano()), foreign: true})
	})
}

func open(t *testing.T, dir string) *embedded.Registry {
	t.Helper()
	r, err := embedded.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// answer is a response, its body parsed.
type answer struct {
	status int
	kind   string
	raw    string
	json   any
}

// do sends a request; %s in the path is the prefix of this test's subjects.
func (a *api) do(method, path string, body any) answer {
	a.t.Helper()
	var in io.Reader
	if body != nil {
		b, _ := json.Marshal(body)
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, a.url+strings.ReplaceAll(path, "%s", url.PathEscape(a.prefix)), in)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	out := answer{status: resp.StatusCode, kind: resp.Header.Get("Content-Type"), raw: string(b)}
	_ = json.Unmarshal(b, &out.json)
	return out
}

// want checks a good answer: the members that are named, or the whole of another value.
func (a *api) want(method, path string, body, want any) answer {
	a.t.Helper()
	got := a.do(method, path, body)
	b, _ := json.Marshal(want)
	var w any
	_ = json.Unmarshal(b, &w)
	if got.status != 200 || !contains(got.json, w) {
		a.t.Errorf("%s %s: %d %s, want %s", method, path, got.status, got.raw, b)
	}
	return got
}

func contains(got, want any) bool {
	w, ok := want.(map[string]any)
	g, isMap := got.(map[string]any)
	if !ok || !isMap {
		return reflect.DeepEqual(got, want)
	}
	for k, v := range w {
		if !reflect.DeepEqual(g[k], v) {
			return false
		}
	}
	return true
}

// refused checks an answer that refuses: its status, and the API's code. Apicurio refuses the same
// requests under other numbers (409 for 40405 and 40407, 500 for 42203, 404 for 42202).
func (a *api) refused(method, path string, body any, status, code int) answer {
	a.t.Helper()
	got := a.do(method, path, body)
	m, _ := got.json.(map[string]any)
	if a.foreign && got.status >= 400 {
		return got
	}
	if got.status != status || m["error_code"] != float64(code) || m["message"] == "" {
		a.t.Errorf("%s %s: %d %s, want %d with error_code %d", method, path, got.status, got.raw, status, code)
	}
	return got
}

func (a *api) register(subject, schema string) int {
	a.t.Helper()
	got := a.want("POST", "/subjects/%s"+subject+"/versions", body(schema), struct{}{})
	m, _ := got.json.(map[string]any)
	id, _ := m["id"].(float64)
	if id < 1 {
		a.t.Fatalf("no id in %s", got.raw)
	}
	return int(id)
}

// setLevel sets a subject's compatibility. Confluent's answer names it "compatibility", Apicurio's
// "compatibilityLevel".
func (a *api) setLevel(subject, level string) {
	a.t.Helper()
	key := "compatibility"
	if a.foreign {
		key = "compatibilityLevel"
	}
	a.want("PUT", "/config/%s"+subject, map[string]string{"compatibility": level}, map[string]string{key: level})
}

func body(schema string) any { return map[string]any{"schema": schema} }

// record gives a record schema with fields of the form name:type or name?type (optional).
func record(name string, fields ...string) string {
	var out []string
	for _, f := range fields {
		if n, kind, ok := strings.Cut(f, "?"); ok {
			out = append(out, fmt.Sprintf(`{"name":%q,"type":["null",%q],"default":null}`, n, kind))
			continue
		}
		n, kind, _ := strings.Cut(f, ":")
		out = append(out, fmt.Sprintf(`{"name":%q,"type":%q}`, n, kind))
	}
	return fmt.Sprintf(`{"type":"record","name":%q,"fields":[%s]}`, name, strings.Join(out, ","))
}

func TestRegister(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		name := strings.TrimSuffix(a.prefix, "-") // a schema of this run only
		v1, v2 := record(name, "id:long"), record(name, "id:long", "name?string")
		id := a.register("a", v1)
		if again := a.register("a", v1); again != id {
			t.Errorf("the same schema got id %d, then %d", id, again)
		}
		if other := a.register("b", v1); other != id {
			t.Errorf("the same schema got id %d under another subject, %d under the first", other, id)
		}
		if !a.foreign { // Apicurio counts white space unless it is told to canonicalize
			if spaced := a.register("a", strings.ReplaceAll(v1, ",", " ,\n ")); spaced != id {
				t.Errorf("white space made id %d of %d", spaced, id)
			}
		}
		next := a.register("a", v2)
		if next == id {
			t.Errorf("another schema got the same id %d", id)
		}
		a.want("GET", "/subjects/%sa/versions", nil, []int{1, 2})
		a.want("GET", "/subjects/%sa/versions/1", nil, map[string]any{"subject": a.prefix + "a", "version": 1, "id": id, "schema": v1})
		a.want("GET", "/subjects/%sa/versions/latest", nil, map[string]any{"version": 2, "id": next, "schema": v2})
		a.want("GET", "/subjects/%sa/versions/-1", nil, map[string]any{"version": 2})
		a.want("GET", fmt.Sprintf("/schemas/ids/%d", id), nil, map[string]any{"schema": v1})
		if got := a.do("GET", "/subjects/%sa/versions/2/schema", nil); got.raw != v2 {
			t.Errorf("schema of version 2 is %s", got.raw)
		}
		a.want("GET", fmt.Sprintf("/schemas/ids/%d/versions", next), nil, []any{map[string]any{"subject": a.prefix + "a", "version": 2}})
		a.want("POST", "/subjects/%sa", body(v1), map[string]any{"subject": a.prefix + "a", "version": 1, "id": id})
	})
}

func TestIDsOfASchema(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		v := record("Shared", "id:long")
		id := a.register("a", v)
		a.register("b", v)
		if !a.foreign { // Apicurio does not have it
			a.want("GET", fmt.Sprintf("/schemas/ids/%d/subjects", id), nil, []string{a.prefix + "a", a.prefix + "b"})
		}
		a.want("GET", fmt.Sprintf("/schemas/ids/%d/schema", id), nil, json.RawMessage(v))
	})
}

func TestNotFound(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		a.refused("GET", "/subjects/%snone/versions", nil, 404, 40401)
		a.refused("GET", "/subjects/%snone/versions/1", nil, 404, 40401)
		a.refused("GET", "/subjects/%snone/versions/latest", nil, 404, 40401)
		a.refused("DELETE", "/subjects/%snone", nil, 404, 40401)
		a.refused("POST", "/subjects/%snone", body(`"string"`), 404, 40401)
		a.refused("GET", "/schemas/ids/2000000000", nil, 404, 40403)
		a.register("a", record("V", "id:long"))
		a.refused("GET", "/subjects/%sa/versions/7", nil, 404, 40402)
		a.refused("GET", "/subjects/%sa/versions/zero", nil, 422, 42202)
		a.refused("POST", "/subjects/%sa", body(record("V", "other:long")), 404, 40403)
	})
}

func TestInvalidSchemas(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		for _, schema := range []string{
			`{`, `{"type":"strin"}`, `{"type":"record","name":"R","fields":[{"name":"a-b","type":"int"}]}`,
			`{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`,
			`{"type":"record","name":"R","fields":[{"name":"a","type":"Unknown"}]}`,
		} {
			a.refused("POST", "/subjects/%sbad/versions", body(schema), 422, 42201)
		}
		a.refused("GET", "/subjects/%sbad/versions", nil, 404, 40401)
	})
}

func TestCompatibilityLevels(t *testing.T) {
	base := record("V", "id:long", "a?string")
	for _, c := range []struct {
		level, next string
		taken       bool
	}{
		{"BACKWARD", record("V", "id:long", "a?string", "b?int"), true},
		{"BACKWARD", record("V", "id:long"), true},
		{"BACKWARD", record("V", "id:long", "a?string", "b:int"), false},
		{"BACKWARD", record("V", "id:string", "a?string"), false},
		{"FORWARD", record("V", "id:long", "a?string", "b:int"), true},
		{"FORWARD", record("V", "a?string"), false},
		{"FULL", record("V", "id:long", "b?int"), true},
		{"FULL", record("V", "id:long", "a?string", "b:int"), false},
		{"NONE", record("V", "id:string"), true},
	} {
		t.Run(c.level+" "+c.next, func(t *testing.T) {
			conformance(t, func(t *testing.T, a *api) {
				a.t = t
				a.register("s", base)
				a.setLevel("s", c.level)
				a.want("GET", "/config/%ss", nil, map[string]string{"compatibilityLevel": c.level})
				a.want("POST", "/compatibility/subjects/%ss/versions/latest", body(c.next), map[string]any{"is_compatible": c.taken})
				if c.taken {
					a.register("s", c.next)
					return
				}
				a.refused("POST", "/subjects/%ss/versions", body(c.next), 409, 409)
			})
		})
	}
}

func TestTransitive(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		// Version 3 can read version 2, which has the field, but not version 1, which has not.
		v1, v2, v3 := record("V", "id:long"), record("V", "id:long", "a?string"), record("V", "id:long", "a:string")
		v3 = strings.Replace(v3, `"string"`, `["null","string"]`, 1)
		a.setLevel("s", "BACKWARD_TRANSITIVE")
		a.register("s", v1)
		a.register("s", v2)
		a.refused("POST", "/subjects/%ss/versions", body(v3), 409, 409)
		a.setLevel("s", "BACKWARD")
		a.register("s", v3)
	})
}

func TestSettings(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		a.refused("PUT", "/config/%ss", map[string]string{"compatibility": "SIDEWAYS"}, 422, 42203)
		a.register("s", `"string"`)
		a.setLevel("s", "FULL_TRANSITIVE")
		a.want("DELETE", "/config/%ss", nil, struct{}{})
		if !a.foreign { // Apicurio answers with its global level instead
			a.refused("GET", "/config/%ss", nil, 404, 40408)
			a.want("GET", "/config", nil, map[string]string{"compatibilityLevel": "BACKWARD"})
			a.want("GET", "/config/%ss?defaultToGlobal=true", nil, map[string]string{"compatibilityLevel": "BACKWARD"})
		}
	})
}

func TestDelete(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		id := a.register("s", record("V", "id:long"))
		a.register("s", record("V", "id:long", "a?int"))
		a.refused("DELETE", "/subjects/%ss?permanent=true", nil, 404, 40405)
		a.refused("DELETE", "/subjects/%ss/versions/1?permanent=true", nil, 404, 40407)
		a.want("DELETE", "/subjects/%ss/versions/1", nil, 1)
		a.want("GET", "/subjects/%ss/versions", nil, []int{2})
		a.want("GET", "/subjects/%ss/versions?deleted=true", nil, []int{1, 2})
		a.refused("GET", "/subjects/%ss/versions/1", nil, 404, 40402)
		a.want("GET", fmt.Sprintf("/schemas/ids/%d", id), nil, struct{}{})
		a.want("DELETE", "/subjects/%ss/versions/1?permanent=true", nil, 1)
		a.want("DELETE", "/subjects/%ss", nil, []int{2})
		a.refused("DELETE", "/subjects/%ss", nil, 404, 40404)
		a.refused("GET", "/subjects/%ss/versions", nil, 404, 40401)
		a.want("DELETE", "/subjects/%ss?permanent=true", nil, []int{2})
		a.refused("DELETE", "/subjects/%ss", nil, 404, 40401)
	})
}

func TestUnusualSubjects(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		for _, name := range []string{"a/b", "ü ö", "a?b=c", "%25", "..."} {
			path := "/subjects/%s" + strings.ReplaceAll(url.PathEscape(name), "%s", "%%s")
			a.want("POST", path+"/versions", body(`"string"`), struct{}{})
			a.want("GET", path+"/versions/latest", nil, map[string]any{"subject": a.prefix + name, "version": 1})
		}
	})
}

func TestListing(t *testing.T) {
	conformance(t, func(t *testing.T, a *api) {
		a.t = t
		a.register("b", `"string"`)
		a.register("a", `"int"`)
		if got := a.do("GET", "/schemas/types", nil); !strings.Contains(got.raw, `"AVRO"`) {
			t.Errorf("types are %s", got.raw)
		}
		got := a.do("GET", "/subjects", nil)
		for _, name := range []string{"a", "b"} {
			if !strings.Contains(got.raw, `"`+a.prefix+name+`"`) {
				t.Errorf("no subject %s in %s", name, got.raw)
			}
		}
		if !strings.HasPrefix(got.kind, "application/vnd.schemaregistry.v1+json") && !a.foreign {
			t.Errorf("content type is %s", got.kind)
		}
	})
}
