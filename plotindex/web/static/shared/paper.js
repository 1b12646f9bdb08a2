// The paper behind plots, white or dark: a switch in the header, stored in the browser. A classic script in the head of
// each page, so that no page appears on the other paper first.

(() => {
  const STORAGE_KEY = "plotindex paper";
  const root = document.documentElement;

  function apply() {
    root.dataset.paper = localStorage.getItem(STORAGE_KEY) === "dark" ? "dark" : "white";
    document.getElementById("paper")?.setAttribute("aria-pressed", root.dataset.paper === "dark");
  }

  apply();
  addEventListener("storage", apply);
  addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("paper");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => {
      localStorage.setItem(STORAGE_KEY, root.dataset.paper === "dark" ? "white" : "dark");
      apply();
    });
    apply();
  });
})();
