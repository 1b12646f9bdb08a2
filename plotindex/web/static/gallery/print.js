// Printing: all cards and images of the page, also those that are not in view.

import { setStatus } from "../api/client.js";
import { loadAllNow, stopLoadingAll } from "./thumbnails.js";

/** Print all of the page. `expand(isExpanded)` is called before and after: it renders all cards. */
export function connectPrint(expand = () => {}) {
  let isExpanded = false;
  let isLoaded = false;
  let wasIncomplete = false; // printed before all images were loaded

  async function prepare() {
    [isExpanded, isLoaded, wasIncomplete] = [true, false, false];
    expand(true);
    await loadAllNow((remaining) => setStatus("print", `Loading ${remaining} images to print (Esc: cancel)`));
    if (!isExpanded) return;
    isLoaded = true;
    setStatus("print", wasIncomplete ? "All images are loaded: print again (Esc: cancel)" : "");
  }

  function restore() {
    isExpanded = false;
    setStatus("print");
    stopLoadingAll();
    expand(false);
  }

  // The browser's own command would not wait for images.
  const onKeydown = async (event) => {
    if (event.key === "Escape" && isExpanded) {
      event.preventDefault();
      return restore();
    }
    if (event.key.toLowerCase() !== "p" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
    event.preventDefault();
    if (isExpanded && !isLoaded) return;
    if (!isExpanded) await prepare();
    if (isExpanded) print();
  };
  // Before the page's own keys: Esc leaves some pages.
  addEventListener("keydown", onKeydown, { capture: true });
  // By the browser's menu, which cannot wait: what is missing loads afterwards.
  addEventListener("beforeprint", () => isExpanded || prepare());
  addEventListener("afterprint", () => {
    if (isLoaded) restore();
    else wasIncomplete = true;
  });
}
