/**
 * The operator's settings for this page. This module must not depend on the page.
 */

import { call } from "./api.js";

const DEFAULTS = { app_base_url: null, sandbox: false };

/**
 * `app_base_url`: the front end to which the page links, or null. `sandbox`: whether a stand-in is
 * used instead of Discogs.
 */
export const settings = call("GET", "web/settings.json").catch(() => DEFAULTS);
