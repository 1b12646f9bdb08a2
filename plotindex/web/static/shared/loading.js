// Loading of an image: its attempts, and the words that are shown instead of it.

import { sleep } from "../api/client.js";

export const NO_CONNECTION = "No connection.";
export const NO_PICTURE = "No picture:"; // begins a reason that stays
const MAX_ATTEMPTS = 3;
const MAX_BUSY = 60; // answers of a busy server, which count as no attempts
const RETRY_MS = 1000; // after the first attempt; longer after the next

/**
 * Load `url` into an <img>, with retries: a file may be incomplete while it is written. Returns whether it is shown: false
 * if the <img> was given another image meanwhile. Throws an Error with the reason.
 */
export async function loadInto(image, url, onRetry = () => {}) {
  let [attempt, busy] = [1, 0];
  for (;;) {
    image.src = url;
    try {
      await image.decode();
      return image.getAttribute("src") === url;
    } catch {
      if (image.getAttribute("src") !== url) return false;
      image.removeAttribute("src");
      const { reason, isFinal, isBusy } = await explainFailure(url);
      const mayRetry = isBusy ? busy < MAX_BUSY : attempt < MAX_ATTEMPTS;
      if (isFinal || !mayRetry) throw new Error(reason);
      onRetry();
      await sleep(RETRY_MS * attempt);
      [attempt, busy] = isBusy ? [attempt, busy + 1] : [attempt + 1, busy];
      if (image.hasAttribute("src")) return false;
    }
  }
}

async function explainFailure(url) {
  try {
    const response = await fetch(url, { method: "HEAD" });
    if (response.ok) return { reason: "Cannot display this file: it is damaged, or its suffix is wrong." };
    if (response.status === 422) return { reason: (await (await fetch(url)).json()).error, isFinal: true };
    if (response.status === 404) return { reason: "This plot no longer exists." };
    if (response.status === 401) return { reason: "Your login has expired." };
    return { reason: "The server cannot send this plot now.", isBusy: response.status === 503 };
  } catch {
    return { reason: NO_CONNECTION };
  }
}

/** Show a text instead of an image; without a text, remove it. */
export function setNotice(paper, text) {
  if (text) paper.dataset.says = text;
  else delete paper.dataset.says;
}
