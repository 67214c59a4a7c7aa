"use strict";

const byId = (id) => document.getElementById(id);
const [url, connect, close, code, reason, protocols, message, send, file] =
  ["url", "connect", "close", "code", "reason", "protocols", "message", "send", "file"].map(byId);
const states = ["CONNECTING", "OPEN", "CLOSING", "CLOSED"];
const still = matchMedia("(prefers-reduced-motion: reduce)");
const rowsKept = 200;
const charactersShown = 1000;

const meanings = {
  1000: "normal closure", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
  1005: "no code was sent", 1006: "no close frame came", 1007: "invalid payload", 1008: "policy violation",
  1009: "message too big", 1010: "extension missing", 1011: "server error", 1012: "server restarts",
  1013: "try again later", 1015: "TLS handshake failed",
};

let socket = null;
let hungUp = false; // the person asked for the close
let waiting = []; // what was sent and has not come back: { payload, since }
let sent = { messages: 0, bytes: 0 };
let received = { messages: 0, bytes: 0 };

// Served by a server, the page talks to that server; opened as a file, to the classic port of the examples.
url.value = location.protocol.startsWith("http")
  ? `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/echo`
  : "ws://localhost:9998/echo";

if (!("WebSocket" in window)) {
  complain("This browser has no WebSocket, so nothing on this page can work here. Any current browser has it.");
  connect.disabled = true;
} else {
  byId("line").addEventListener("submit", (event) => { event.preventDefault(); open(); });
  byId("talk").addEventListener("submit", (event) => { event.preventDefault(); say(); });
  close.addEventListener("click", hangUp);
  file.addEventListener("change", sayFile);
  byId("clear").addEventListener("click", () => byId("log").replaceChildren());
}

function open() {
  if (connect.disabled) return;
  complain("");
  let mine;
  try {
    mine = new WebSocket(url.value, protocols.value.split(",").map((name) => name.trim()).filter(Boolean));
  } catch (error) {
    const what = protocols.value.trim() ? `${url.value} with the subprotocols ${protocols.value}` : url.value;
    return complain(`${what} cannot be opened: ${error.message}`);
  }
  socket = mine;
  socket.binaryType = "arraybuffer";
  hungUp = false;
  waiting = [];
  const since = performance.now();
  socket.onopen = () => {
    byId("ended").textContent = socket.url;
    const agreed = [socket.protocol, socket.extensions].filter(Boolean).join("; ");
    note("opened", socket.url + (agreed ? ` (${agreed})` : ""), span(since));
    show();
    message.focus({ preventScroll: true });
  };
  socket.onmessage = (event) => hear(event.data);
  socket.onclose = (event) => {
    const meaning = meanings[event.code] ?? (event.code >= 3000 ? "the application's own" : "");
    const how = [
      `code ${event.code}${meaning ? ` (${meaning})` : ""}`,
      event.reason ? `reason “${event.reason}”` : "no reason",
      event.wasClean ? "clean" : "not clean",
    ].join(", ");
    byId("ended").textContent = how;
    note("closed", how);
    if (event.code === 1006 && !hungUp) complain(`No connection to ${mine.url}, or it was lost. Does the server run?`);
    show();
  };
  byId("ended").textContent = socket.url;
  watch();
}

function say() {
  const kind = document.querySelector("[name=kind]:checked").value;
  launch(kind === "text" ? message.value : new TextEncoder().encode(message.value).buffer);
  message.select();
}

async function sayFile() {
  const [chosen] = file.files;
  if (!chosen) return;
  // The same file may be chosen again.
  file.value = "";
  try {
    launch(await chosen.arrayBuffer());
  } catch (error) {
    complain(`${chosen.name} cannot be read: ${error.message}`);
  }
}

function launch(payload) {
  if (socket?.readyState !== WebSocket.OPEN) return;
  waiting.push({ payload, since: performance.now() });
  socket.send(payload);
  sent = { messages: sent.messages + 1, bytes: sent.bytes + length(payload) };
  note("sent", payload);
  carry("sent");
  show();
}

function hear(payload) {
  received = { messages: received.messages + 1, bytes: received.bytes + length(payload) };
  const index = waiting.findIndex((one) => same(one.payload, payload));
  const trip = index < 0 ? "not an echo" : span(waiting[index].since);
  if (index >= 0) {
    waiting.splice(index, 1);
    byId("trip").textContent = trip;
  }
  note("received", payload, trip);
  carry("received");
  show();
}

function hangUp() {
  complain("");
  try {
    if (code.value) socket.close(Number(code.value), reason.value);
    else socket.close();
    hungUp = true;
  } catch (error) {
    complain(error.message);
  }
  show();
}

// Everything that can be read off the socket, as it is now.
function show() {
  const state = socket ? states[socket.readyState] : "CLOSED";
  document.body.dataset.state = state;
  put("state", state);
  put("ready", socket ? `${socket.readyState} ${state}` : "no socket");
  put("buffered", String(socket ? socket.bufferedAmount : 0));
  put("sent", count(sent));
  put("received", count(received));
  connect.disabled = state !== "CLOSED";
  url.readOnly = state !== "CLOSED";
  close.disabled = state !== "OPEN" && state !== "CONNECTING";
  protocols.readOnly = url.readOnly;
  send.disabled = file.disabled = state !== "OPEN";
}

// readyState and bufferedAmount change without an event.
function watch() {
  show();
  if (socket.readyState !== WebSocket.CLOSED) requestAnimationFrame(watch);
}

function note(what, payload, figure = "") {
  const row = document.createElement("li");
  row.dataset.what = what;
  const cell = (name, className, text) => {
    const element = document.createElement(name);
    element.className = className;
    element.textContent = text;
    row.append(element);
  };
  const isBytes = typeof payload !== "string";
  const title = { opened: "opened", sent: "→ sent", received: "← came back", closed: "closed" }[what];
  const now = new Date();
  cell("time", "", `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`);
  cell("span", "what", title);
  cell("span", isBytes ? "text bytes" : "text", isBytes ? hex(payload) : shorten(payload));
  cell("span", "figure", figure);
  const log = byId("log");
  log.prepend(row);
  if (log.children.length > rowsKept) log.lastChild.remove();
}

// A message crosses the bridge.
function carry(what) {
  if (still.matches || !Element.prototype.animate) return;
  const box = document.createElementNS("http://www.w3.org/2000/svg", "circle");
  box.setAttribute("class", what);
  box.setAttribute("r", "6");
  box.setAttribute("cy", "94");
  byId("cargo").append(box);
  const path = [{ transform: "translateX(170px)" }, { transform: "translateX(470px)" }];
  box.animate(what === "sent" ? path : path.reverse(), { duration: 650, easing: "ease-in-out" })
    .finished.finally(() => box.remove());
}

function complain(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

function put(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function length(payload) {
  return typeof payload === "string" ? new TextEncoder().encode(payload).length : payload.byteLength;
}

function same(a, b) {
  if (typeof a === "string" || typeof b === "string") return a === b;
  const [x, y] = [new Uint8Array(a), new Uint8Array(b)];
  return x.length === y.length && x.every((byte, i) => byte === y[i]);
}

function shorten(text) {
  return text.length > charactersShown
    ? `${text.slice(0, charactersShown)} … (${text.length.toLocaleString("en")} characters)`
    : text;
}

function hex(buffer) {
  const shown = Array.from(new Uint8Array(buffer, 0, Math.min(32, buffer.byteLength)), (byte) =>
    byte.toString(16).padStart(2, "0"));
  return `${shown.join(" ")}${buffer.byteLength > 32 ? " …" : ""} (${size(buffer.byteLength)})`;
}

function span(since) {
  return `${(performance.now() - since).toFixed(1)} ms`;
}

function size(bytes) {
  return bytes === 1 ? "1 byte" : `${bytes.toLocaleString("en")} bytes`;
}

function count({ messages, bytes }) {
  return messages ? `${messages} · ${bytes.toLocaleString("en")} B` : "0";
}
