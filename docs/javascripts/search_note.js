"use strict";
// From disk the theme hides the search, since browsers do not start its worker there: say where it works.
if (location.protocol === "file:") {
  const note = document.createElement("p"), command = document.createElement("code");
  command.textContent = "python -m http.server -d site";
  note.append("Search works on a server: ", command);
  note.style.cssText = "font-size: .65rem; color: var(--md-default-fg-color--light); margin: 1rem .6rem";
  document.querySelector(".md-sidebar--primary .md-sidebar__inner")?.append(note);
}
