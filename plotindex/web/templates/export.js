// Search, and one plot at a time. A classic script: browsers load no modules from files.
(() => {
  const $ = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll("article")].map((element) => ({ element, text: element.dataset.find.toLowerCase() }));
  const view = $("view");
  let shown = null;

  function filter() {
    const words = $("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { element, text } of cards) {
      element.hidden = !words.every((word) => text.includes(word));
      count += !element.hidden;
    }
    for (const section of document.querySelectorAll("section")) section.hidden = !section.querySelector("article:not([hidden])");
    $("none").hidden = count > 0;
    $("count").textContent = words.length ? `${count} of ${cards.length} plots` : `${cards.length} plot${cards.length === 1 ? "" : "s"}`;
  }

  function open(link) {
    shown = link;
    view.querySelector(".name").textContent = link.querySelector(".name").textContent;
    view.querySelector("img").src = link.dataset.large;
    if (!view.open) view.showModal();
  }

  function step(distance) {
    const links = [...document.querySelectorAll("article:not([hidden]) .open[data-large]")];
    const next = links[links.indexOf(shown) + distance];
    if (next) open(next);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest(".open[data-large]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      open(link);
    }
    const button = event.target.closest("dialog button");
    if (button?.dataset.step) step(Number(button.dataset.step));
    if (event.target === view || (button && "close" in button.dataset)) view.close();
  });
  view.addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft") step(-1);
    if (key === "ArrowRight") step(1);
  });
  view.addEventListener("close", () => shown?.focus());
  $("q").addEventListener("input", filter);
  $("q").parentElement.hidden = false;
  filter();
})();
