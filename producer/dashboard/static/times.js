// Times are rendered in UTC; here they become the reader's, with UTC as the title.
const format = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

function localise(within) {
  for (const element of within.querySelectorAll("time[data-ms]:not([title])")) {
    const moment = new Date(Number(element.dataset.ms));
    if (Number.isNaN(moment.getTime())) continue;
    element.title = element.textContent;
    element.textContent = format.format(moment);
  }
}

localise(document);
document.body.addEventListener("htmx:afterSwap", (event) => localise(event.detail.target));
