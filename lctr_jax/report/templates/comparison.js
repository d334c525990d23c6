"use strict";
(() => {
  const heat = document.querySelector("#heat");
  if (!heat) return;
  document.querySelector("#filters").hidden = false;
  heat.addEventListener("input", () => document.documentElement.style.setProperty("--heat", heat.value / 100));
})();
