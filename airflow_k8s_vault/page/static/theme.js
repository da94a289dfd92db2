// Airflow keeps the theme of its UI there; this page stands in a frame of the same origin and follows it.
(function () {
  "use strict";
  function apply() {
    var chosen = null;
    try { chosen = localStorage.getItem("theme"); } catch (error) { chosen = null; }
    var dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
  }
  apply();
  addEventListener("storage", apply);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", apply);
})();
