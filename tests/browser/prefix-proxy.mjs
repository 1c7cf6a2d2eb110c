/**
 * A reverse proxy that makes the service available below a path and strips that path, as nginx does with
 * `location /account/ { proxy_pass http://127.0.0.1:8004/; }`.
 */

import { once } from "node:events";
import { createServer, request } from "node:http";

/** Starts in front of a service. Returns the proxy's origin and a function to stop it. */
export async function startPrefixProxy(serviceUrl, prefix) {
  const server = createServer((incoming, outgoing) => {
    const { method, headers, url } = incoming;
    if (url === prefix) return outgoing.writeHead(301, { Location: `${prefix}/` }).end();
    if (!url.startsWith(`${prefix}/`)) return outgoing.writeHead(404).end("not below the path");
    const target = serviceUrl + url.slice(prefix.length);
    const passed = request(target, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.writeHead(502).end());
    incoming.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const stop = async () => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { origin: `http://127.0.0.1:${server.address().port}`, stop };
}
