// Connects to the sandbox with clients from npm, in every way that each of them offers.
//
// `SANDBOX_URL` names the sandbox. Some clients know only the address of Discogs, so this program
// replaces `https.request` to send their requests to the sandbox. Their own files stay as they are.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import http from "node:http";
import https from "node:https";

import { DiscogsClient, DiscogsOAuth } from "@lionralfs/discogs-client";
import disconnect from "disconnect";
import oauth from "oauth";
import OAuth from "oauth-1.0a";

const { SANDBOX_URL } = process.env;
assert(SANDBOX_URL, "set SANDBOX_URL");
const sandbox = new URL(SANDBOX_URL);

const KEY = "sandbox-key";
const USER_AGENT = "SandboxClients/1.0 +https://example.com";
const FORM = "application/x-www-form-urlencoded";
const urls = Object.fromEntries(
  ["request_token", "access_token", "identity"].map((step) => [step, `${sandbox.origin}/oauth/${step}`]),
);

https.request = (target, ...rest) => {
  if (typeof target === "string") {
    const { pathname, search } = new URL(target);
    return http.request(new URL(pathname + search, sandbox), ...rest);
  }
  return http.request({ ...target, host: sandbox.hostname, port: sandbox.port }, ...rest);
};

/** Authorizes the app on the page, as a person would, and reads the code. */
async function authorize(token) {
  const page = await fetch(`${sandbox.origin}/oauth/authorize?oauth_token=${token}`);
  assert.match(await page.text(), />Authorize<\/button>/);
  const answer = await fetch(page.url, {
    method: "POST",
    body: new URLSearchParams({ oauth_token: token, allow: "yes" }),
  });
  const code = (await answer.text()).match(/id="pin">([^<]+)</)?.[1];
  assert(code, "the sandbox shows a code");
  return code;
}

/** Calls a function that ends with a callback, and gives what the callback is given after the error. */
const called = (call) =>
  new Promise((resolve, reject) => {
    call((error, ...results) => (error ? reject(new Error("refused", { cause: error })) : resolve(results)));
  });

async function withDisconnect(secret) {
  const [requested] = await called((done) =>
    new disconnect.Client().oauth().getRequestToken(KEY, secret, "oob", done),
  );
  const code = await authorize(requested.token);
  const [granted] = await called((done) => new disconnect.Client(requested).oauth().getAccessToken(code, done));
  return (await new disconnect.Client(granted).getIdentity()).username;
}

async function withDiscogsClient(secret) {
  const client = new DiscogsOAuth(KEY, secret);
  const { token, tokenSecret } = await client.getRequestToken("oob");
  const granted = await client.getAccessToken(token, tokenSecret, await authorize(token));
  const auth = { method: "oauth", consumerKey: KEY, consumerSecret: secret, ...granted };
  return (await new DiscogsClient({ userAgent: USER_AGENT, auth }).getIdentity()).data.username;
}

const hash = { hash_function: (text, key) => createHmac("sha1", key).update(text).digest("base64") };

/** One signed call with `oauth-1.0a`, which signs and leaves the sending to the program. */
async function call(signature, place, method, url, secret, token, data) {
  const signer = new OAuth({
    consumer: { key: KEY, secret },
    signature_method: signature,
    ...(signature === "HMAC-SHA1" && hash),
  });
  const parameters = { ...signer.authorize({ url, method, data }, token), ...data };
  const headers = { "User-Agent": USER_AGENT };
  const sent = {
    header: () => fetch(url, { method, headers: { ...headers, ...signer.toHeader(parameters) } }),
    query: () => fetch(`${url}?${new URLSearchParams(parameters)}`, { method, headers }),
    body: () => fetch(url, { method, headers: { ...headers, "Content-Type": FORM }, body: `${new URLSearchParams(parameters)}` }),
  };
  const answer = await sent[place]();
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  return text;
}

function withOauth10a(signature, place) {
  return async (secret) => {
    const ask = (method, step, token, data) => call(signature, place, method, urls[step], secret, token, data);
    const token = (text) => {
      const pairs = new URLSearchParams(text);
      return { key: pairs.get("oauth_token"), secret: pairs.get("oauth_token_secret") };
    };
    const start = place === "body" ? "POST" : "GET";
    const requested = token(await ask(start, "request_token", undefined, { oauth_callback: "oob" }));
    const oauth_verifier = await authorize(requested.key);
    const granted = token(await ask("POST", "access_token", requested, { oauth_verifier }));
    // A GET has no body in fetch.
    const identity = await call(signature, place === "body" ? "header" : place, "GET", urls.identity, secret, granted, {});
    return JSON.parse(identity).username;
  };
}

function withOauth(signature, method) {
  return async (secret) => {
    const client = new oauth.OAuth(urls.request_token, urls.access_token, KEY, secret, "1.0", "oob", signature);
    client.setClientOptions({ requestTokenHttpMethod: method, accessTokenHttpMethod: method });
    const requested = await called((done) => client.getOAuthRequestToken(done));
    const code = await authorize(requested[0]);
    const granted = await called((done) => client.getOAuthAccessToken(requested[0], requested[1], code, done));
    const [inHeader] = await called((done) => client.get(urls.identity, granted[0], granted[1], done));
    const signed = client.signUrl(urls.identity, granted[0], granted[1]);
    const inQuery = await (await fetch(signed, { headers: { "User-Agent": USER_AGENT } })).text();
    assert.equal(inQuery, inHeader);
    return JSON.parse(inHeader).username;
  };
}

const signatures = ["HMAC-SHA1", "PLAINTEXT"];
const ways = [
  ["disconnect", withDisconnect],
  ["@lionralfs/discogs-client", withDiscogsClient],
  ...signatures.flatMap((signature) => [
    ...["header", "query", "body"].map((place) => [`oauth-1.0a, ${signature} in the ${place}`, withOauth10a(signature, place)]),
    ...["GET", "POST"].map((method) => [`oauth, ${signature} by ${method}`, withOauth(signature, method)]),
  ]),
];

for (const [name, connect] of ways) {
  try {
    assert.equal(await connect("sandbox-secret"), "sandbox_digger");
    await assert.rejects(connect("wrong"), `${name}: a wrong secret is refused`);
    console.log(`works: ${name}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`FAILS: ${name}`, error);
  }
}
