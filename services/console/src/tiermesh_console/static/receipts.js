// Lists what was asked in this tab, newest first. Kept by ask.js in the tab's own storage, gone with the tab.
"use strict";
const card = document.querySelector("[data-subject]");
let asked = [];
try {
  asked = JSON.parse(sessionStorage.getItem(`asked ${card.dataset.subject}`)) ?? [];
} catch { /* storage is off, or holds something else: there is nothing to list */ }
const list = document.getElementById("recent");
for (const { id, text, route } of asked) {
  const link = document.createElement("a");
  link.href = `/receipts/${encodeURIComponent(id)}`;
  const chip = document.createElement("span");
  chip.className = `chip ${route}`;
  chip.textContent = { tier1: "Tier 1", tier2: "Tier 2", tier3: "Tier 3", aggregate: "Aggregate" }[route] ?? route;
  const words = document.createElement("span");
  words.className = "text";
  words.textContent = text;
  link.append(chip, words);
  const item = document.createElement("li");
  item.append(link);
  list.append(item);
}
document.getElementById("none").hidden = asked.length > 0;
