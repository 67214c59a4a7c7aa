// node server.js COMPRESS: sends every message to the first client, checks what comes back, closes and ends.
"use strict";

const { WebSocketServer } = require("ws");
const { messages, same } = require("./messages.js");

const perMessageDeflate = process.argv[2] === "true" ? { threshold: 0 } : false;
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate }, () =>
  console.log(`listening on ws://127.0.0.1:${server.address().port}/`));

server.on("connection", (socket) => {
  let next = 0;
  console.log("extensions", socket.extensions || "none");
  for (const message of messages) socket.send(message);
  socket.on("message", (data, isBinary) => {
    if (!same(messages[next], data, isBinary)) throw new Error(`message ${next} came back changed`);
    next += 1;
    if (next === messages.length) {
      console.log("all came back");
      socket.close(4321, "再见");
    }
  });
  socket.on("close", (code) => {
    console.log("closed", code);
    server.close();
  });
});
