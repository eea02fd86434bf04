// What every page needs: choosers that submit themselves, moments in the reader's zone, forms that are sent once.
"use strict";
document.documentElement.classList.add("js");

document.querySelector(".nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

for (const chooser of document.querySelectorAll("select[data-submit]")) {
  chooser.addEventListener("change", () => chooser.form.requestSubmit());
}

const moments = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  time.textContent = moments.format(new Date(time.dateTime));
}
for (const time of document.querySelectorAll("time[data-unix]")) {
  time.textContent = moments.format(new Date(1000 * Number(time.dataset.unix)));
}

for (const range of document.querySelectorAll("input[type=range][data-output]")) {
  const output = range.form.querySelector("output");
  range.addEventListener("input", () => { output.textContent = Number(range.value).toFixed(2); });
}

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => {
    // After the browser has read which button was pressed.
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = true; });
  });
}
addEventListener("pageshow", (event) => {
  // Back from another page: what was disabled on leaving works again.
  if (event.persisted) for (const button of document.querySelectorAll("form[method=post] button")) button.disabled = false;
});
