"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const items = all(".gallery-item"), filters = one("#filters"), details = one("#details");

  // The gallery: show the items that every chosen filter lets through.
  const fields = filters.elements, extraFilters = [];
  const chosen = (name) => (fields[name] ? fields[name].value : "");
  function applyFilters() {
    const [group, error, name] = ["group", "error", "class"].map(chosen);
    for (const item of items) {
      const { groups, error: outcome, class: ofClass } = item.dataset;
      item.hidden = (group && !groups.split(" ").includes(group)) || (error && outcome !== error) || (name && ofClass !== name)
        || !extraFilters.every((passes) => passes(item));
    }
    const shown = items.filter((item) => !item.hidden).length;
    one("#shown").textContent = `${shown} of ${items.length} images`;
    one("#none").hidden = shown > 0;
  }
  function show(name, value) {
    for (const field of ["group", "error", "class"]) if (fields[field]) fields[field].value = field === name ? value : "";
    applyFilters();
    one("#pictures").scrollIntoView();
  }
  // For the scripts of single pages: more filters, and another order of the items.
  window.gallery = { extraFilters, applyFilters, setOrder: (sorted) => items.splice(0, items.length, ...sorted) };
  filters.hidden = false;
  filters.addEventListener("change", applyFilters);
  filters.addEventListener("submit", (event) => event.preventDefault());
  fields.heat.addEventListener("input", () => document.documentElement.style.setProperty("--heat", fields.heat.value / 100));
  one("#reset").addEventListener("click", () => show("", ""));
  for (const button of all("[data-show-error]")) button.addEventListener("click", () => show("error", button.dataset.showError));
  for (const button of all("[data-show-class]")) button.addEventListener("click", () => show("class", button.dataset.showClass));
  applyFilters();

  // Tables: sort by a column, numbers as numbers, empty cells last; again to turn round.
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table), body = one("tbody", table);
    heads.forEach((head, column) => one("button", head).addEventListener("click", () => {
      const numeric = head.classList.contains("n");
      const before = head.getAttribute("aria-sort");
      const direction = before ? (before === "ascending" ? "descending" : "ascending") : numeric ? "descending" : "ascending";
      const sign = direction === "ascending" ? 1 : -1;
      const text = (row) => row.cells[column].textContent.trim();
      const compare = (a, b) => numeric ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
      const rows = all("tr", body).sort((a, b) => {
        const [x, y] = [text(a), text(b)];
        return x === "" || y === "" ? (x === "") - (y === "") : sign * compare(x, y);
      });
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", direction);
      body.append(...rows);
    }));
  }

  // Details: the item's photograph under each of its maps.
  let open = null;
  function showDetails(item) {
    open = item;
    const content = one("template", item).content.cloneNode(true);
    one("#details-name").textContent = item.dataset.name;
    for (const figure of all(".panels figure")) {
      const stage = one(".stage", item).cloneNode(true);
      const map = figure.dataset.map && one(`img[data-map=${figure.dataset.map}]`, content);
      const heat = one(".heat", stage);
      if (map) heat.src = map.src; else heat.remove();
      one(".photo", stage).alt = `${one("b", figure).textContent}: ${one(".photo", item).alt}`;
      one(".slot", figure).replaceChildren(stage);
    }
    one(".facts", details).replaceChildren(one("div", content));
    if (!details.open) details.showModal();
  }
  function step(by) {
    const shown = items.filter((item) => !item.hidden);
    showDetails(shown[(shown.indexOf(open) + by + shown.length) % shown.length]);
  }
  for (const item of items) one("button", item).addEventListener("click", () => showDetails(item));
  one("#previous").addEventListener("click", () => step(-1));
  one("#next").addEventListener("click", () => step(1));
  one("#close").addEventListener("click", () => details.close());
  details.addEventListener("click", (event) => { if (event.target === details) details.close(); });
  details.addEventListener("close", () => one("button", open).focus());
  details.addEventListener("keydown", (event) => {
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  });
})();
