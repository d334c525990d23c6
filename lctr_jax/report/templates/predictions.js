"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const one = (selector, root = document) => root.querySelector(selector);
  const list = one(".gallery"), items = all(".gallery-item"), filters = one("#filters"), fields = filters.elements;
  const SIZES = { "under 10 %": [0, 0.1], "10 to 50 %": [0.1, 0.5], "50 to 95 %": [0.5, 0.95], "over 95 %": [0.95, 2] };

  // What the page knows of each picture: its score maps, and the best score and largest box at the threshold.
  const known = new Map(items.map((item, order) => {
    const data = JSON.parse(item.dataset.redraw), drawn = one("svg", item).innerHTML, key = one(".key", item).innerHTML;
    return [item, { order, ...data, predicted: { score: data.score, size: data.size, drawn, key } }];
  }));

  // Filters and order.
  window.gallery.extraFilters.push((item) => {
    const { classes, score, size } = known.get(item), wanted = fields["any-class"].value, range = SIZES[fields.size.value];
    if (wanted && !classes.includes(wanted)) return false;
    if (score < Number(fields.score.value)) return false;
    if (fields.size.value === "none") return size === 0;
    return !range || (size > range[0] && size <= range[1]);
  });
  const ORDERS = {
    read: (a, b) => a.order - b.order,
    score: (a, b) => b.score - a.score,
    "score-up": (a, b) => a.score - b.score,
    size: (a, b) => b.size - a.size,
    "size-up": (a, b) => a.size - b.size,
    class: (a, b) => a.classes[0].localeCompare(b.classes[0], undefined, { numeric: true }),
  };
  function sort() {
    const compare = ORDERS[fields.sort.value];
    items.sort((a, b) => compare(known.get(a), known.get(b)) || known.get(a).order - known.get(b).order);
    list.append(...items);
    window.gallery.setOrder(items);
  }

  // The boxes of one picture at a threshold.
  function findBoxes(picture, tau) {
    const { side, every, minArea, region, maps } = picture, [left, top, right, bottom] = region;
    return maps.flatMap((map, color) => {
      map.levels ??= regions.toLevels(regions.decodeMap(map), side);
      let found = regions.findRegions(map.levels, side, Math.trunc(tau * 255));
      found = found.filter(({ area }) => area >= minArea * side * side);
      return (every ? found : found.slice(0, 1)).map((box) => ({
        color,
        name: map.name,
        score: map.probability * regions.strength(map.levels, side, box),
        x: left + (box.left / side) * (right - left),
        y: top + (box.top / side) * (bottom - top),
        width: ((box.right - box.left) / side) * (right - left),
        height: ((box.bottom - box.top) / side) * (bottom - top),
      }));
    });
  }
  function rectangle(box, kind) {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    shape.setAttribute("class", kind);
    for (const name of ["x", "y", "width", "height"]) shape.setAttribute(name, box[name]);
    return shape;
  }
  function keyEntry({ name }, color, boxes) {
    const entry = document.createElement("span"), swatch = document.createElement("i");
    swatch.className = `swatch color-${color % 6}`;
    const scores = boxes.map((box) => box.score.toFixed(2));
    entry.append(swatch, `${name}, ${scores.length ? `score ${scores.slice(0, 3).join(", ")}` : "no box"}${scores.length > 3 ? ", ..." : ""}`);
    return entry;
  }
  function redraw(item, tau) {
    const picture = known.get(item), svg = one("svg", item), key = one(".key", item);
    if (tau === null) {
      Object.assign(picture, { score: picture.predicted.score, size: picture.predicted.size });
      svg.innerHTML = picture.predicted.drawn;
      key.innerHTML = picture.predicted.key;
      return;
    }
    const boxes = findBoxes(picture, tau), { width, height } = svg.viewBox.baseVal;
    picture.score = Math.max(0, ...boxes.map((box) => box.score));
    picture.size = Math.max(0, ...boxes.map((box) => (box.width * box.height) / (width * height)));
    svg.replaceChildren(
      ...boxes.map((box) => rectangle(box, "edge")),
      ...boxes.map((box) => rectangle(box, `line predicted color-${box.color % 6}`)),
    );
    key.replaceChildren(...picture.maps.map((map, color) => keyEntry(map, color, boxes.filter((box) => box.color === color))));
  }

  // The slider: redraw in slices of time, so that the page stays responsive with hundreds of pictures.
  let waiting = [], wanted = null;
  function work() {
    const until = performance.now() + 25;
    while (waiting.length && performance.now() < until) redraw(waiting.shift(), wanted);
    if (waiting.length) requestAnimationFrame(work);
    else finish();
  }
  function finish() {
    list.dataset.threshold = wanted === null ? "" : String(wanted);
    sort();
    window.gallery.applyFilters();
  }
  function redrawAll(tau) {
    const idle = waiting.length === 0;
    wanted = tau;
    waiting = [...items];
    one("#threshold-value").textContent = tau === null ? "as predicted" : tau.toFixed(2);
    one("#as-predicted").disabled = tau === null;
    if (idle) requestAnimationFrame(work);
  }
  const thresholds = [...known.values()].map(({ threshold }) => threshold).sort((a, b) => a - b);
  const start = thresholds.length ? thresholds[Math.floor(thresholds.length / 2)] : 0;
  fields.threshold.value = start;
  fields.threshold.addEventListener("input", () => redrawAll(Number(fields.threshold.value)));
  one("#as-predicted").addEventListener("click", () => {
    fields.threshold.value = start;
    redrawAll(null);
  });
  fields.score.addEventListener("input", () => {
    one("#score-value").textContent = Number(fields.score.value).toFixed(2);
    window.gallery.applyFilters();
  });
  fields.sort.addEventListener("change", sort);
  one("#reset").addEventListener("click", () => {
    Object.assign(fields["any-class"], { value: "" });
    fields.size.value = "";
    fields.score.value = 0;
    fields.score.dispatchEvent(new Event("input"));
  });
})();
