"use strict";

// The same shapes as MESSAGES in conftest.py.
const { randomBytes } = require("node:crypto");

exports.messages = [
  "", Buffer.alloc(0), "发送数据", "\u{1F600}".repeat(31), Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  "a".repeat(125), "b".repeat(126), Buffer.alloc(65_535, "c"), Buffer.alloc(65_536, "d"), "é".repeat(500_000),
  randomBytes(1 << 20),
];

// Whether what came back is what was sent, with the same type.
exports.same = (sent, data, isBinary) =>
  isBinary === Buffer.isBuffer(sent) && Buffer.compare(Buffer.from(sent), data) === 0;
