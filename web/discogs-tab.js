/**
 * The browser tab for Discogs. This module must not depend on the page or the session.
 */

/**
 * Opens the tab for Discogs; returns null if the browser blocks it. Browsers allow a new tab only in
 * the click handler, so it is opened before its address is known; it shows `words` until then.
 *
 * The new tab starts with a copy of this tab's `sessionStorage`, including the access token. The copy
 * is cleared, so that signing out here leaves nothing in that tab.
 */
export function openTab(words) {
  const tab = window.open("", "_blank");
  if (!tab) return null;
  tab.opener = null;
  clearStorage(tab);
  fill(tab.document, words);
  return tab;
}

/** Fills the tab until Discogs answers, for dark mode and phones too. */
function fill(page, words) {
  page.title = "Discogs";
  page.documentElement.lang = "en";
  page.documentElement.style.colorScheme = "light dark";
  const viewport = page.createElement("meta");
  viewport.name = "viewport";
  viewport.content = "width=device-width";
  page.head.append(viewport);
  page.body.style.font = "1.1rem system-ui, sans-serif";
  page.body.style.margin = "2rem";
  page.body.textContent = words;
}

function clearStorage(tab) {
  try {
    tab.sessionStorage.clear();
  } catch {
    // Storage is blocked, so there is no copy.
  }
}

/** Returns an address that may be opened: of the web, not a script. */
export function webAddress(address) {
  const url = new URL(address);
  if (!["https:", "http:"].includes(url.protocol)) throw new TypeError("not a web address");
  return url.href;
}
