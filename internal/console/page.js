"use strict";
// Shows /api/status. Every field may be missing: what is not known is shown as a dash. Text from the
// status only ever becomes text nodes.
const period = 1000, window_ms = 15 * 60 * 1000;
const tones = {
  streaming: "good", running: "good", snapshot: "good",
  standby: "idle", paused: "wait", held: "bad", stopped: "bad",
};
const history = new Map(); // name -> [[time, lag], ...]
let answered = 0;

const $ = (id) => document.getElementById(id);
const obj = (v) => (v !== null && typeof v === "object" && !Array.isArray(v) ? v : {});
const num = (v) => (typeof v === "number" && isFinite(v) ? v : null);
const str = (v) => (v === null || v === undefined || typeof v === "object" || v === "" ? "–" : String(v));

function node(tag, text, cls) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (cls) e.className = cls;
  return e;
}

function seconds(v) {
  const s = num(v);
  if (s === null) return "–";
  if (s < 0.001) return "0 ms";
  if (s < 1) return Math.round(s * 1000) + " ms";
  if (s < 60) return s.toFixed(1) + " s";
  if (s < 3600) return Math.floor(s / 60) + " min " + Math.round(s % 60) + " s";
  return (s / 3600).toFixed(1) + " h";
}

function bytes(v) {
  let b = num(v);
  if (b === null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let i = 0;
  while (Math.abs(b) >= 1000 && i < units.length - 1) { b /= 1000; i++; }
  return (i === 0 ? b : b.toFixed(1)) + " " + units[i];
}

function moment(v) {
  const t = typeof v === "string" ? Date.parse(v) : NaN;
  return isNaN(t) ? "–" : new Date(t).toISOString().replace("T", " ");
}

function lsn(v) {
  const m = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(typeof v === "string" ? v : "");
  return m ? parseInt(m[1], 16) * 4294967296 + parseInt(m[2], 16) : null;
}

function distance(from, to) {
  const a = lsn(from), b = lsn(to);
  return a === null || b === null || a === 0 ? "–" : bytes(Math.max(0, b - a)) + " of log";
}

const tone = (state) => tones[state] || "idle";
function stateOf(part) {
  return node("span", str(part.state), "state " + tone(part.state));
}

function fill(dl, pairs) {
  const out = [];
  for (const [name, value, cls] of pairs) {
    const dd = node("dd", undefined, cls);
    dd.append(value instanceof Node ? value : str(value));
    out.push(node("dt", name), dd);
  }
  dl.replaceChildren(...out);
}

function showPath(s, capture, sinks) {
  const slot = obj(capture.slot), here = s.capture != null;
  const flows = capture.state === "streaming" || capture.state === "snapshot"; // another process's flow is not known here
  fill($("postgres").querySelector("dl"), [
    ["held for the slot", bytes(slot.wal_bytes), "figure"],
    ["slot", [str(slot.name), slot.wal_status].filter(Boolean).join(" · ")],
    ["confirmed", capture.confirmed_lsn],
  ]);
  fill($("capture").querySelector("dl"), here
    ? [["lag", seconds(capture.lag_seconds), "figure"], ["state", stateOf(capture)]].concat(capture.reason ? [["because", capture.reason]] : [])
    : [["state", "in another process"]]);
  fill($("kafka").querySelector("dl"), [["durable up to", str(capture.durable_lsn), "figure"], ["source", s.source]]);
  for (const id of ["pipe1", "pipe2"]) $(id).classList.toggle("flowing", flows);
  $("pipe3").classList.toggle("flowing", Object.values(sinks).some((k) => obj(k).state === "running"));
  $("sinks").replaceChildren(...Object.keys(sinks).sort().map((name) => {
    const k = obj(sinks[name]), card = node("div", undefined, "stage"), dl = node("dl");
    card.append(node("h2", name), dl);
    fill(dl, [["lag", seconds(k.lag_seconds), "figure"], ["state", stateOf(k)], ["applied", k.applied_lsn]]);
    return card;
  }));
  if (!Object.keys(sinks).length) $("sinks").append(node("div", "no sinks in this process", "stage quiet"));
}

// What sluice verify found last, of all tables of a sink.
function driftOf(tables) {
  if (!Array.isArray(tables) || !tables.length) return node("td", "not verified", "quiet");
  const rows = tables.map(obj).reduce((n, t) => n + (num(t.missing) || 0) + (num(t.extra) || 0) + (num(t.different) || 0), 0);
  return node("td", str(rows), rows > 0 ? "bad" : "");
}

function showTable(capture, sinks) {
  $("rows").replaceChildren(...Object.keys(sinks).sort().map((name) => {
    const k = obj(sinks[name]), row = node("tr"), state = node("td");
    state.append(stateOf(k));
    if (k.reason) state.append(node("span", str(k.reason), "reason"));
    const awaited = (Array.isArray(k.awaited) ? k.awaited : []).reduce((n, t) => n + (num(obj(t).rows) || 0), 0);
    if (awaited > 0) state.append(node("span", "waits for " + awaited + " rows of which values did not travel", "reason"));
    else if (k.complete === false) state.append(node("span", "first snapshot under way", "reason quiet"));
    row.append(node("td", name), state, node("td", seconds(k.lag_seconds)), node("td", str(k.applied_lsn)),
      node("td", distance(k.applied_lsn, capture.durable_lsn)), node("td", moment(k.applied_time), "moment"),
      node("td", str(k.parked), num(k.parked) > 0 ? "bad" : ""), driftOf(k.drift));
    return row;
  }));
}

function remember(name, lag) {
  const now = Date.now(), list = history.get(name) || [];
  if (num(lag) !== null) list.push([now, lag]);
  while (list.length && list[0][0] < now - window_ms) list.shift();
  history.set(name, list);
}

// The scale is logarithmic, from 1 ms up to a power of ten: a sink that is hours behind and one that
// is milliseconds behind both show how they move.
const floor = 0.001;
const decades = (v) => Math.log10(Math.max(v, floor) / floor);

function svg(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

function showChart() {
  const all = [...history.values()].flat();
  const top = Math.max(2, Math.ceil(decades(Math.max(floor, ...all.map((p) => p[1]))))); // in decades above the floor
  const end = Date.now(), start = Math.min(end - 60000, ...all.map((p) => p[0]));
  const x = (t) => (900 * (t - start) / (end - start)).toFixed(1), y = (v) => (175 - 165 * decades(v) / top).toFixed(1);
  const lines = Array.from({ length: top + 1 }, (_, d) => y(floor * 10 ** d)).map((at) => svg("line", { class: "grid", x1: 0, x2: 900, y1: at, y2: at }));
  const legend = [node("span", "lines at 1 ms and each ten times more, up to " + seconds(floor * 10 ** top), "quiet")];
  [...history.entries()].forEach(([name, points], i) => {
    const key = "k" + i % 6, item = node("span");
    lines.push(svg("polyline", { class: "curve " + key, points: points.map((p) => x(p[0]) + "," + y(p[1])).join(" ") }));
    item.append(node("i", undefined, key), name + " " + (points.length ? seconds(points[points.length - 1][1]) : "–"));
    legend.push(item);
  });
  $("chart").replaceChildren(...lines);
  $("legend").replaceChildren(...legend);
}

function verdict(text, cls) {
  $("verdict").textContent = text;
  $("verdict").className = "pill " + cls;
  document.title = (cls === "good" ? "" : "! ") + "sluice";
}

function judge(s, capture, sinks, ready) {
  const parts = Object.keys(sinks).map((name) => ["sink " + name, obj(sinks[name])]);
  if (s.capture != null) parts.unshift(["capture", capture]);
  const worst = ["bad", "wait"].map((t) => parts.find(([, p]) => tone(p.state) === t)).find(Boolean);
  if (worst) return verdict(worst[0] + ": " + str(worst[1].state) + (worst[1].reason ? ", " + worst[1].reason : ""), tone(worst[1].state));
  if (ready) return verdict("not ready: " + ready, "wait");
  verdict(parts.length ? "ready" : "nothing runs here", parts.length ? "good" : "idle");
}

function show(status, ready) {
  const s = obj(status), capture = obj(s.capture), sinks = obj(s.sinks);
  $("source").textContent = s.source ? str(s.source) : "";
  showPath(s, capture, sinks);
  showTable(capture, sinks);
  if (s.capture != null) remember("capture", capture.lag_seconds);
  for (const name of Object.keys(sinks).sort()) remember("sink " + name, obj(sinks[name]).lag_seconds);
  showChart();
  judge(s, capture, sinks, ready);
}

async function ask() {
  try {
    const limit = AbortSignal.timeout(5000);
    const [status, ready] = await Promise.all([fetch("/api/status", { signal: limit }), fetch("/readyz", { signal: limit })]);
    if (!status.ok) throw new Error("HTTP " + status.status);
    show(await status.json(), ready.ok ? "" : (await ready.text()).trim());
    answered = Date.now();
  } catch (e) {
    verdict("this process does not answer: " + e.message, "bad");
    for (const id of ["pipe1", "pipe2", "pipe3"]) $(id).classList.remove("flowing");
  }
  $("age").textContent = answered ? "as of " + new Date(answered).toLocaleTimeString() : "";
  setTimeout(ask, document.hidden ? 10 * period : period);
}

ask();
