// Reads Solidity's standard JSON from stdin and writes the compiler's answer to stdout.
// Also stands in for the native `solc` where forge asks for one: it answers --version.
"use strict";

const solc = require("solc");

if (process.argv.includes("--version")) {
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}\n`);
} else {
  const chunks = [];
  process.stdin.on("data", (chunk) => chunks.push(chunk));
  process.stdin.on("end", () => {
    process.stdout.write(solc.compile(Buffer.concat(chunks).toString("utf8")));
  });
}
