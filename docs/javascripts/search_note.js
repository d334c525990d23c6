"use strict";
// From disk, browsers do not start the worker that searches: say so in the field.
if (location.protocol === "file:") {
  const field = document.querySelector(".md-search__input");
  if (field) {
    field.placeholder = "Search needs a server: python -m http.server -d site";
    field.disabled = true;
    field.title = field.placeholder;
  }
}
