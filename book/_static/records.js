// What a table stands on links to the list of records: only in the built book, since a notebook alone has no such page.
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement.dataset.content_root ?? "./";
  for (const note of document.querySelectorAll(".stands-on")) {
    note.innerHTML = note.innerHTML.replace(/\d+ recorded runs/, (runs) => `<a href="${root}numbers.html#the-records">${runs}</a>`);
  }
});
