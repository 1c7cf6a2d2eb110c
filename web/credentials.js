/**
 * The card of the app's Discogs credentials, for admins only: set, replace, remove.
 *
 * The service lists the keys with their masked values. This module must not depend on the
 * user's connection.
 */

import {
  act, anyEmpty, element, hush, inputs, onSubmit, setTime, showError, tell, wireToggles,
} from "./page.js";
import { asUser } from "./session.js";
import { settings } from "./settings.js";
import { configKeyName, moment } from "./words.js";

const CONFIG = "api/admin/config";
const INCOMPLETE = "No user can connect Discogs until both the key and the secret are set.";
const IN_SANDBOX = "The sandbox uses its own key and secret. The values below are not used.";

const card = element("credentials");
const slips = new Map();
const isSecret = (key) => key.endsWith("_secret");

/** Whether the user is known to be an admin. */
export const isAdmin = () => !card.hidden;

/** Shows the card if the user is an admin. */
export async function loadCredentials() {
  try {
    const { config } = await asUser("GET", CONFIG);
    for (const entry of config) showEntry(entry);
    card.hidden = false;
    await showNotice();
  } catch (error) {
    if (error.code === "admin_required") resetCredentials();
    // Any other error leaves it unknown whether the user is an admin: the card stays as it is.
  }
}

/** Shows what the current credentials mean for connecting. */
async function showNotice() {
  const { sandbox } = await settings;
  const isComplete = [...slips.values()].every(({ isSet }) => isSet);
  const notice = element("credentials-notice");
  notice.textContent = sandbox ? IN_SANDBOX : isComplete ? "" : INCOMPLETE;
  notice.hidden = notice.textContent === "";
}

/** Hides the card and clears its input. */
export function resetCredentials() {
  card.hidden = true;
  slips.clear();
  element("config-keys").replaceChildren();
}

function showEntry({ key, is_set: isSet, value, updated_at: changed }) {
  const slip = slips.get(key) ?? newSlip(key);
  const name = slip.name.toLowerCase();
  slip.isSet = isSet;
  slip.badge.textContent = isSet ? "Set" : "Not set";
  slip.badge.classList.toggle("on", isSet);
  slip.masked.textContent = isSet ? value : "–";
  setTime(slip.changed, changed, changed ? moment(changed, { withTime: true }) : "–");
  slip.label.textContent = isSet ? `New ${name}` : slip.name;
  slip.save.textContent = isSet ? "Replace" : "Set";
  slip.remove.hidden = !isSet;
}

function newSlip(key) {
  const root = element("config-key").content.cloneNode(true).firstElementChild;
  const find = (selector) => root.querySelector(selector);
  const slip = {
    key,
    name: configKeyName(key),
    title: find("h3"),
    badge: find(".badge"),
    masked: find(".masked"),
    changed: find("time"),
    form: find("form"),
    label: find("label"),
    save: find(".save"),
    remove: find(".remove"),
    confirm: find(".confirm"),
    box: find(".message"),
  };
  describe(slip, find);
  wire(slip, find);
  slips.set(key, slip);
  element("config-keys").append(root);
  return slip;
}

/** Labels the parts, and links the field to its label and error. */
function describe({ key, name, title, form, label, remove }, find) {
  const [input] = inputs(form);
  const [inputId, errorId] = [`config-${key}`, `config-${key}-error`];
  title.textContent = name;
  label.htmlFor = inputId;
  input.id = inputId;
  // Only the secret is hidden while the user types.
  input.classList.toggle("concealed", isSecret(key));
  find(".toggle").hidden = !isSecret(key);
  input.setAttribute("aria-describedby", errorId);
  find(".field-error").id = errorId;
  find(".toggle").setAttribute("aria-label", `Show ${name.toLowerCase()}`);
  remove.setAttribute("aria-label", `Remove ${name.toLowerCase()}…`);
  find(".confirm h4").textContent = `Remove the ${name.toLowerCase()}?`;
}

function wire(slip, find) {
  const ask = (asked) => {
    slip.confirm.hidden = !asked;
    slip.form.hidden = asked;
    hush(slip.box);
    (asked ? find(".confirm h4") : slip.remove).focus();
  };
  if (isSecret(slip.key)) wireToggles(slip.form);
  onSubmit(slip.form, () => save(slip));
  slip.remove.addEventListener("click", () => ask(true));
  find(".remove-no").addEventListener("click", () => ask(false));
  slip.confirm.addEventListener("keydown", (event) => {
    if (event.key === "Escape") ask(false);
  });
  find(".remove-yes").addEventListener("click", (event) => remove(slip, event.currentTarget));
}

function save(slip) {
  if (anyEmpty(slip.form)) return;
  const [input] = inputs(slip.form);
  act(slip.save, {
    box: slip.box,
    progress: "Saving…",
    work: async () => {
      const saved = await asUser("PUT", `${CONFIG}/${encodeURIComponent(slip.key)}`, { value: input.value });
      input.value = "";
      showEntry({ ...saved, is_set: true });
      await showNotice();
      tell(slip.box, `${slip.name} saved.`, { good: true });
    },
    failed: (error) => showError(error, slip.box, { form: slip.form }),
  });
}

function remove(slip, button) {
  act(button, {
    box: slip.box,
    progress: "Removing…",
    work: async () => {
      await asUser("DELETE", `${CONFIG}/${encodeURIComponent(slip.key)}`);
      showEntry({ key: slip.key, is_set: false, value: null, updated_at: null });
      await showNotice();
      slip.confirm.hidden = true;
      slip.form.hidden = false;
      tell(slip.box, `${slip.name} removed.`, { good: true });
      slip.title.focus();
    },
    failed: (error) => showError(error, slip.box),
  });
}
