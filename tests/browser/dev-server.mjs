/**
 * Serves the folder `web/` at `/` and `/web/…` as the service does, and forwards all other requests
 * to the service: the API, and the page's settings.
 *
 * FOR DEVELOPMENT ONLY: to change the page without rebuilding the service. `WEB_FROM_FOLDER=1` makes
 * the tests use it.
 *
 *     node dev-server.mjs http://127.0.0.1:8004 8080
 */

import { createReadStream, existsSync } from "node:fs";
import { createServer, request } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../web/", import.meta.url));

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; " +
  "require-trusted-types-for 'script'; trusted-types 'none'";

/** Starts in front of a service, on a port (0: any free one). Returns its URL and a function to stop it. */
export async function startDevServer(serviceUrl, port = 0) {
  const server = createServer((incoming, outgoing) => {
    const { pathname } = new URL(incoming.url, serviceUrl);
    const name = pathname === "/" ? "index.html" : /^\/web\/([\w-]+\.\w+)$/.exec(pathname)?.[1];
    if (name && name !== "settings.json") serveFile(join(FOLDER, name), outgoing);
    else forward(serviceUrl, incoming, outgoing);
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stop = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, stop };
}

function serveFile(path, outgoing) {
  if (!existsSync(path)) return outgoing.writeHead(404).end();
  outgoing.writeHead(200, {
    "Content-Type": TYPES[extname(path)],
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
  });
  createReadStream(path).pipe(outgoing);
}

function forward(serviceUrl, incoming, outgoing) {
  const { method, headers, url } = incoming;
  const forwarded = request(new URL(url, serviceUrl), { method, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  // Like a gateway whose service is unavailable.
  forwarded.on("error", () => outgoing.writeHead(502, { "Content-Type": "text/html" }).end("Bad Gateway"));
  incoming.pipe(forwarded);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [serviceUrl, port] = process.argv.slice(2);
  const { url } = await startDevServer(serviceUrl, Number(port));
  console.log(`The page is at ${url}`);
}
