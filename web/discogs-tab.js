/**
 * The browser tab in which Discogs opens. Must not know the page, nor who is signed in.
 */

/**
 * Opens the tab for Discogs. Browsers allow a new tab only on the click itself, so it is opened
 * before its address is known; `words` are shown until then. Null if the browser blocks it.
 *
 * The new tab starts with a copy of our `sessionStorage`, access token included. The copy is
 * cleared, so that signing out here leaves nothing behind in that tab.
 */
export function openTab(words) {
  const tab = window.open("", "_blank");
  if (!tab) return null;
  tab.opener = null;
  clearStorage(tab);
  fill(tab.document, words);
  return tab;
}

/** What the tab shows until Discogs answers, readable at night and on a phone. */
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

/** Checks that an address may be opened: one of the web, not a script. */
export function webAddress(address) {
  const url = new URL(address);
  if (!["https:", "http:"].includes(url.protocol)) throw new TypeError("not a web address");
  return url.href;
}
