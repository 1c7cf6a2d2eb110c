/**
 * Registers, signs in, connects through the sandbox and checks the answers, all with types generated
 * from the OpenAPI document. `SERVICE_URL` is the URL of the service.
 */

import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./schema.d.ts";

type ErrorCode = components["schemas"]["Error"]["code"];

const { SERVICE_URL } = process.env;
assert(SERVICE_URL, "set SERVICE_URL");
const api = createClient<paths>({ baseUrl: SERVICE_URL });

const account = { email: `digger-${Date.now()}@example.com`, password: "correct horse battery staple" };
const { data: user } = await api.POST("/api/auth/register", { body: account });
assert(user);

const again = await api.POST("/api/auth/register", { body: account });
const taken: ErrorCode = "email_taken";
assert(again.error && again.error.code === taken, JSON.stringify(again.error));

// The type of `detail` is known only after `code` has been checked.
const { error: bad } = await api.POST("/api/auth/register", { body: { ...account, password: "short" } });
assert(bad);
const messages: string[] = bad.code === "invalid_input" ? bad.detail.map(({ msg }) => msg) : [bad.detail];
assert.deepEqual(messages, ["String should have at least 8 characters"]);

const { data: token } = await api.POST("/api/auth/login", { body: account });
assert(token);
api.use({
  onRequest({ request }) {
    request.headers.set("Authorization", `Bearer ${token.access_token}`);
  },
});

const { data: me } = await api.GET("/api/auth/me");
assert.deepEqual(me, user);

const { data: before } = await api.GET("/api/oauth/status/discogs");
assert(before && !before.connected);

const { data: started } = await api.GET("/api/oauth/authorize/discogs");
assert(started);
const approval = await fetch(started.authorize_url, {
  method: "POST",
  body: new URLSearchParams({ oauth_token: started.state, allow: "yes" }),
});
const pin = (await approval.text()).match(/id="pin"[^>]*>([^<]+)</)?.[1];
assert(pin, "the sandbox shows a PIN");
const { data: finished } = await api.POST("/api/oauth/verify/discogs", {
  body: { state: started.state, oauth_verifier: pin },
});
assert(finished);

const { data: after } = await api.GET("/api/oauth/status/discogs");
assert(after?.connected);
// The field exists only if `connected` is true.
assert.equal(after.discogs_username, finished.discogs_username);

console.log(`${me?.email} is connected as ${after.discogs_username}.`);
