// The selected plots as one archive: a form, so that the browser writes to disk what the server streams.

import { api, setStatus } from "../api/client.js";

const MAX_FORM_CHARACTERS = 4_000_000; // as the server reads them
const REASONS = {
  403: "The server takes this page for another site.",
  413: "These plots are too many, or too large, for one download.",
  503: "Another download is running. Try again in a moment.",
};

/** Download what `getPaths()` returns when the form is sent. */
export function connectDownload(form, getPaths) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    download(form, getPaths())
      .catch(() => setStatus("download", "No connection. Try again."))
      .finally(() => (button.disabled = false));
  });
}

async function download(form, paths) {
  const fields = paths.map((path) => ["plot", path]);
  // A card stands for all formats of its plot, except where files are shown one by one.
  if (document.getElementById("show")?.value !== "files") fields.push(["formats", "1"]);
  const problem = await refusal(form.action, fields);
  setStatus("download", problem);
  if (problem) return;
  const inputs = fields.map(([name, value]) => Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  form.append(...inputs);
  form.submit();
  for (const input of inputs) input.remove();
}

/** Why the server would refuse the form: its answer would replace this page. */
async function refusal(address, fields) {
  const body = new URLSearchParams([...fields, ["check", "1"]]);
  if (body.toString().length > MAX_FORM_CHARACTERS) return REASONS[413];
  const response = await fetch(address, { method: "POST", body });
  return response.ok ? "" : (REASONS[response.status] ?? "The plots cannot be downloaded.");
}

/** Show the button for these plots; returns what to do if they cannot be in one archive. */
export function showDownload(form, paths) {
  const sessions = new Set(paths.map((path) => path.split("/")[0]));
  form.hidden = sessions.size !== 1;
  const [session] = sessions;
  form.action = `${api}/export/${encodeURIComponent(session)}.zip`;
  form.querySelector("button").textContent = `Download ${paths.length.toLocaleString("en")}`;
  return sessions.size > 1 ? "To download, select plots of one session" : "";
}
