// node client.js URL COMPRESS: sends every message at once, checks what comes back, closes.
"use strict";

const WebSocket = require("ws");
const { messages, same } = require("./messages.js");

const [url, compress] = process.argv.slice(2);
const socket = new WebSocket(url, { perMessageDeflate: compress === "true" ? { threshold: 0 } : false });
let next = 0;
socket.on("open", () => {
  console.log("extensions", socket.extensions || "none");
  for (const message of messages) socket.send(message);
});
socket.on("message", (data, isBinary) => {
  if (!same(messages[next], data, isBinary)) throw new Error(`message ${next} came back changed`);
  next += 1;
  if (next === messages.length) {
    console.log("all came back");
    socket.close(4321, "再见");
  }
});
socket.on("close", (code) => console.log("closed", code));
