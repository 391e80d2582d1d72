// Node's own HTTPS, fetch and HTTP/2 clients through a proxy's CONNECT tunnel.
// Prints one JSON line per client; no packages beside node itself.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import tls from "node:tls";

const { PROXY_HOST, PROXY_PORT, PROXY_CA, ORIGIN, MARK } = process.env;
const ca = fs.readFileSync(PROXY_CA);
const upload = "u".repeat(200_000);
const sha256 = (data) => crypto.createHash("sha256").update(data).digest("hex");

function tunnel(alpn) {
  return new Promise((resolve, reject) => {
    http
      .request({ host: PROXY_HOST, port: PROXY_PORT, method: "CONNECT", path: ORIGIN })
      .on("connect", (_, socket) => {
        const secure = tls.connect(
          { socket, servername: "localhost", ca, ALPNProtocols: [alpn] },
          () => resolve(secure),
        );
        secure.on("error", reject);
      })
      .on("error", reject)
      .end();
  });
}

async function report(client, isHttp2, request) {
  const small = await request("GET", `/small.txt?${MARK}-${client}`);
  const large = await request("GET", "/large.bin");
  const put = await request("PUT", `/upload/${MARK}-${client}`, upload);
  console.log(
    JSON.stringify({
      client,
      http2: isHttp2,
      small: small.body.toString(),
      large_sha256: sha256(large.body),
      upload_status: put.status,
    }),
  );
}

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function viaHttps(method, path, body) {
  const socket = await tunnel("http/1.1");
  return new Promise((resolve, reject) => {
    https
      .request(`https://${ORIGIN}${path}`, { method, createConnection: () => socket })
      .on("response", async (answer) =>
        resolve({ status: answer.statusCode, body: await collect(answer) }),
      )
      .on("error", reject)
      .end(body);
  });
}

// Node exports no Agent for its fetch, but the dispatcher in use has the class.
const dispatcherKey = Symbol.for("undici.globalDispatcher.1");
await fetch("data:,").then((answer) => answer.text());
const Agent = globalThis[dispatcherKey].constructor;
const agent = new Agent({
  connect: (_, done) => tunnel("http/1.1").then((socket) => done(null, socket), done),
});

async function viaFetch(method, path, body) {
  const answer = await fetch(`https://${ORIGIN}${path}`, {
    method,
    body,
    dispatcher: agent,
  });
  return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) };
}

const socket = await tunnel("h2");
const session = http2.connect(`https://${ORIGIN}`, { createConnection: () => socket });

function viaHttp2(method, path, body) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path });
    stream.on("response", async (headers) =>
      resolve({ status: headers[":status"], body: await collect(stream) }),
    );
    stream.on("error", reject);
    stream.end(body);
  });
}

await report("https", false, viaHttps);
await report("fetch", false, viaFetch);
await report("http2", socket.alpnProtocol === "h2", viaHttp2);
session.close();
await agent.close();
