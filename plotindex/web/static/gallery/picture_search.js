// A picture that is pasted or dropped on a search is searched for.

/** Find where a picture is from that is pasted into a field or dropped on its form. */
export function connectPictureSearch(field) {
  const { form } = field;
  field.addEventListener("paste", (event) => search(event, event.clipboardData));
  form.addEventListener("drop", (event) => {
    form.classList.remove("dropping");
    search(event, event.dataTransfer);
  });
  form.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    form.classList.add("dropping");
  });
  form.addEventListener("dragleave", () => form.classList.remove("dropping"));
}

/** Search for the file of an event, if there is one; text goes into the field. */
async function search(event, { files: [picture] }) {
  if (!picture) return;
  event.preventDefault();
  // Not part of the first page, which is to be small.
  const { findSources } = await import("./sources.js");
  await findSources(picture);
}
