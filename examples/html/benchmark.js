"use strict";

const byId = (id) => document.getElementById(id);
const [url, run, stop, largest, seconds, check] = ["url", "run", "stop", "largest", "seconds", "check"].map(byId);

const smallest = 64;
const step = 4;
// What is on its way at once: about so many bytes, and so many messages.
const underWay = { bytes: 1 << 20, least: 2, most: 64 };
const trips = 50;
const texts = { count: 3000, bytes: 125 };
const letter = "a".charCodeAt(0);

let results = []; // of each size { bytes, sent, received }, both { bytes, messages } a second, as they come
let open = null; // the Peer that is at work
let isStopped = false;

url.value = location.protocol.startsWith("http")
  ? `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`
  : "ws://localhost:9998/";

if (!("WebSocket" in window)) {
  complain("This browser has no WebSocket, so nothing can be measured here. Any current browser has it.");
  run.disabled = true;
}
byId("settings").addEventListener("submit", (event) => { event.preventDefault(); measure(); });
stop.addEventListener("click", () => { isStopped = true; open?.close(); });
new ResizeObserver(draw).observe(byId("chart"));

/** A connection whose messages are waited for. Every wait ends: by the message, or by an error that says what happened. */
class Peer {
  constructor(address, doing) {
    this.address = address;
    this.doing = doing; // what an error says was going on
    this.arrived = [];
    this.wanted = null;
    this.ended = null;
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.opened = new Promise((done, fail) => {
      this.socket.onopen = done;
      this.socket.onclose = (event) => {
        this.ended = new Error(this.doing
          ? `The connection to ${address} ended with code ${event.code} ${this.doing}.`
          : `No connection to ${address}. Does the server run, with the handlers of examples/python?`);
        fail(this.ended);
        this.wanted?.fail(this.ended);
      };
    });
    this.socket.onmessage = (event) => {
      if (this.wanted) {
        const { done } = this.wanted;
        this.wanted = null;
        done(event.data);
      } else {
        this.arrived.push(event.data);
      }
    };
  }

  /** The next message. */
  next() {
    if (this.arrived.length) return Promise.resolve(this.arrived.shift());
    if (this.ended) return Promise.reject(this.ended);
    return new Promise((done, fail) => { this.wanted = { done, fail }; });
  }

  send(payload) { this.socket.send(payload); }

  close() { this.socket.close(); }
}

async function measure() {
  if (run.disabled) return;
  complain("");
  let base;
  try {
    base = new URL(url.value);
    if (!/^wss?:$/.test(base.protocol)) throw new Error("it does not begin with ws:// or wss://");
  } catch (error) {
    return complain(`${url.value} is not the address of a WebSocket server: ${error.message}`);
  }
  results = [];
  isStopped = false;
  for (const id of ["best-sent", "best-received", "trip", "rate"]) byId(id).textContent = "–";
  working(true);
  try {
    await measureAll(base);
    say("Done.");
  } catch (error) {
    say(isStopped ? "Stopped." : "Not finished.");
    if (!isStopped) complain(error.message);
  } finally {
    open?.close();
    open = null;
    working(false);
  }
}

async function measureAll(base) {
  const sizes = [];
  for (let size = smallest; size <= Number(largest.value); size *= step) sizes.push(size);
  const steps = sizes.length * 2 + 2;
  let done = 0;
  const progress = () => { byId("progress").value = ++done / steps; };

  open = new Peer(new URL("benchmark_helper", base).href, "");
  say("Connecting …");
  await open.opened;
  open.doing = "while single bytes went to and fro";
  say("Sending single bytes to and fro …");
  byId("trip").textContent = milliseconds(await roundTrip(open));
  progress();
  for (const size of sizes) {
    const result = { bytes: size };
    results.push(result);
    for (const [direction, words, way] of [["sent", "going to", toServer], ["received", "coming from", fromServer]]) {
      open.doing = `while messages of ${named(size)} were ${words} the server`;
      say(`${named(size)}, ${words} the server …`);
      result[direction] = await way(open, size, Number(seconds.value) * 1000);
      progress();
      show();
    }
  }
  open.close();

  open = new Peer(new URL("bench", base).href, "");
  await open.opened;
  open.doing = `while ${texts.count} texts were coming from the server`;
  say(`Texts of ${texts.bytes} bytes …`);
  byId("rate").textContent = `${rounded(await textRate(open))}/s`;
  progress();
}

/** The middle one of many round trips of a message of one byte, in milliseconds. */
async function roundTrip(peer) {
  const times = [];
  for (let i = 0; i < trips; i++) {
    const since = performance.now();
    peer.send("receive 1");
    await peer.next();
    times.push(performance.now() - since);
  }
  return times.sort((a, b) => a - b)[trips >> 1];
}

function toServer(peer, size, time) {
  const payload = new Uint8Array(size).fill(letter);
  const command = check.checked ? "send 1" : "send 0";
  return pipelined(size, time, () => {
    peer.send(command);
    peer.send(payload);
  }, async () => {
    const answer = await peer.next();
    if (answer !== String(size)) throw new Error(`The server says that ${answer} bytes came, of ${size} that were sent.`);
  });
}

function fromServer(peer, size, time) {
  return pipelined(size, time, () => peer.send(`receive ${size}`), async () => {
    const message = await peer.next();
    if (message.byteLength !== size) throw new Error(`${message.byteLength} bytes came, of ${size} that were asked for.`);
    if (check.checked) {
      const wrong = new Uint8Array(message).findIndex((byte) => byte !== letter);
      if (wrong >= 0) throw new Error(`Byte ${wrong} of a message of ${named(size)} is not the one that was sent.`);
    }
  });
}

/** Starts transfers for so many milliseconds, several at once, and waits for all of them: what that makes a second. */
async function pipelined(size, time, start, finish) {
  const window = Math.min(Math.max(Math.floor(underWay.bytes / size), underWay.least), underWay.most);
  // What is done for the first time does not count.
  start();
  await finish();
  const since = performance.now();
  let started = 0;
  let finished = 0;
  while (finished === 0 || finished < started) {
    while (started - finished < window && (started < 3 || performance.now() - since < time)) {
      start();
      started++;
    }
    await finish();
    finished++;
  }
  const passed = (performance.now() - since) / 1000;
  return { bytes: finished * size / passed, messages: finished / passed };
}

/** How many texts the server gets through to this page in a second. */
async function textRate(peer) {
  peer.send(`0 ${texts.count} ${"x".repeat(texts.bytes)}`);
  await peer.next();
  const since = performance.now();
  for (let i = 1; i < texts.count; i++) await peer.next();
  return (texts.count - 1) / (performance.now() - since) * 1000;
}

// What the page shows.

function working(is) {
  run.disabled = is;
  stop.disabled = !is;
  url.readOnly = is;
  byId("choices").disabled = is;
  document.body.dataset.working = is;
  byId("progress").value = 0;
  show();
}

function show() {
  for (const direction of ["sent", "received"]) {
    const best = Math.max(...results.map((result) => result[direction]?.bytes ?? 0));
    if (best > 0) byId(`best-${direction}`).textContent = `${megabytes(best)} MB/s`;
  }
  byId("results").hidden = !results.some((result) => result.sent);
  byId("results").tBodies[0].replaceChildren(...results.filter((result) => result.sent).map((result) => {
    const row = document.createElement("tr");
    const cell = (text, className = "") => {
      const element = row.insertCell();
      element.textContent = text;
      element.className = className;
    };
    cell(named(result.bytes));
    for (const figure of [result.sent, result.received]) {
      cell(figure ? megabytes(figure.bytes) : "");
      cell(figure ? `${rounded(figure.messages)}/s` : "", "messages");
    }
    return row;
  }));
  draw();
}

/** Both axes are logarithmic: sizes go up by fours, and the figures by thousands. */
function draw() {
  const svg = byId("chart");
  const { width, height } = svg.getBoundingClientRect();
  if (!width) return;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren();
  const add = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    svg.append(element);
  };

  const figures = results.flatMap((result) => [result.sent, result.received]).filter(Boolean).map((one) => one.bytes / 1e6);
  const isEmpty = figures.length === 0;
  const low = isEmpty ? 0 : Math.floor(Math.log10(Math.min(...figures)));
  const high = isEmpty ? 3 : Math.max(Math.ceil(Math.log10(Math.max(...figures))), low + 1);
  const area = { left: 46, right: width - 14, top: 24, bottom: height - 26 };
  const y = (value) => area.bottom - (Math.log10(value) - low) / (high - low) * (area.bottom - area.top);
  const last = Math.log(Math.max(Number(largest.value), ...results.map((result) => result.bytes)) / smallest);
  const x = (bytes) => area.left + 10 + Math.log(bytes / smallest) / last * (area.right - area.left - 20);

  add("text", { x: 0, y: 12 }, "MB/s");
  for (let power = low; power <= high; power++) {
    add("line", { class: "grid", x1: area.left, x2: area.right, y1: y(10 ** power), y2: y(10 ** power) });
    add("text", { x: area.left - 8, y: y(10 ** power) + 4, "text-anchor": "end" },
      power < 0 ? (10 ** power).toFixed(-power) : String(10 ** power));
  }
  let free = -Infinity;
  for (let bytes = smallest; bytes <= smallest * Math.exp(last) * 1.01; bytes *= step) {
    // Names of sizes stand where there is room for them.
    if (x(bytes) - free < 58) continue;
    free = x(bytes);
    add("text", { x: x(bytes), y: height - 6, "text-anchor": "middle" }, named(bytes));
  }
  if (isEmpty) {
    add("text", { class: "empty", x: (area.left + area.right) / 2, y: (area.top + area.bottom) / 2, "text-anchor": "middle" },
      run.disabled ? "…" : "Run, and the lines appear here");
  }
  for (const direction of ["sent", "received"]) {
    const points = results.filter((result) => result[direction])
      .map((result) => [x(result.bytes), y(result[direction].bytes / 1e6)]);
    add("polyline", { class: direction, points: points.map((point) => point.join()).join(" ") });
    for (const [left, top] of points) {
      if (direction === "sent") add("rect", { class: direction, x: left - 4, y: top - 4, width: 8, height: 8 });
      else add("circle", { class: direction, cx: left, cy: top, r: 4.5 });
    }
  }
  svg.setAttribute("aria-label", isEmpty ? "No results yet"
    : `Megabytes a second for messages of ${results.length} sizes; the table below has the same figures`);
}

function say(text) { byId("status").textContent = text; }

function complain(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

function named(bytes) {
  if (bytes >= 1 << 20) return `${bytes >> 20} MiB`;
  return bytes >= 1024 ? `${bytes >> 10} KiB` : `${bytes} B`;
}

/** With about three digits that count. */
function rounded(number) {
  return Number(number.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 2 });
}

function megabytes(bytes) { return rounded(bytes / 1e6); }

function milliseconds(time) { return `${time.toFixed(2)} ms`; }
