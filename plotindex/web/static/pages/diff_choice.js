// The choice of what to compare.

import { startOf } from "../shared/since.js";
import { startTimeUpdates } from "../shared/format.js";

startTimeUpdates();
for (const link of document.querySelectorAll("a[data-since]")) {
  const address = new URL(link.href);
  // Only the browser knows when its user's yesterday began.
  const [session] = address.searchParams.getAll("to");
  address.searchParams.set("from", `${session}@${new Date(startOf(link.dataset.since)).toISOString()}`);
  link.href = address.href;
}
