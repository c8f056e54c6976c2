// Tables of the class "sortable": a click on a heading sorts, a word in the field above shows the rows that have it, and what
// is shown can be taken along as CSV. Without JavaScript the table is whole and in its own order.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const text = (row, column) => row.cells[column].innerText.trim();
    const tools = document.createElement("p");
    tools.className = "tools";
    tools.innerHTML = '<label>rows with <input type="search"></label> <button type="button">CSV</button>';
    (table.closest(".wide") ?? table).before(tools);
    tools.querySelector("input").addEventListener("input", (event) => {
      const wanted = event.target.value.toLowerCase();
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    tools.querySelector("button").addEventListener("click", () => {
      const shown = [table.tHead.rows[0], ...[...body.rows].filter((row) => !row.hidden)];
      const quoted = (cell) => `"${cell.innerText.trim().replaceAll('"', '""')}"`;
      const lines = shown.map((row) => [...row.cells].map(quoted).join(","));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
      link.download = "scorecard.csv";
      link.click();
      URL.revokeObjectURL(link.href);
    });
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = heading.textContent;
      heading.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const order = (a, b) => text(a, column).localeCompare(text(b, column), "en", { numeric: true });
        body.append(...rows.toSorted((a, b) => (down ? -order(a, b) : order(a, b))));
      });
    });
  }
});
