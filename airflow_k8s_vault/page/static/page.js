"use strict";

// Links into Airflow's own UI: the frame's sandbox keeps it from leaving, so Airflow's router is asked to go there.
document.addEventListener("click", function (event) {
  var link = event.target.closest("a.of-airflow");
  if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  window.parent.history.pushState(null, "", link.getAttribute("href"));
  window.parent.dispatchEvent(new PopStateEvent("popstate", { state: null }));
});

document.addEventListener("click", function (event) {
  var button = event.target.closest("button.copy");
  if (!button) return;
  var source = document.getElementById(button.dataset.copy);
  var selection = getSelection();
  var range = document.createRange();
  range.selectNodeContents(source);
  selection.removeAllRanges();
  selection.addRange(range);
  // A frame has no clipboard permission of its own; copying the selection works in one.
  var done = document.execCommand("copy");
  var label = button.dataset.label || button.textContent;
  button.dataset.label = label;
  button.textContent = done ? "Copied" : "Press Ctrl+C";
  setTimeout(function () { button.textContent = label; }, 2000);
});
