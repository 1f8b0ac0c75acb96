(() => {
  const root = document.documentElement;
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.getElementById("theme").addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; });

  const data = JSON.parse(document.getElementById("curves").textContent);
  const plots = [...document.querySelectorAll(".plot[data-key]")];
  const words = { equity: "equity", hold: "holding", under: "under water" };
  const shown = { equity: ["equity", "hold"], under: ["under"] };
  const number = (value, name) => value.toLocaleString("en", { maximumFractionDigits: 2 }) + (name === "under" ? " %" : "");
  const cursors = plots.map((plot) => {
    const line = document.createElement("span");
    line.className = "cursor";
    plot.append(line);
    return line;
  });
  const nearest = (at) => {
    let low = 0, high = data.time.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (data.time[middle] < at) low = middle + 1; else high = middle;
    }
    return low;
  };
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const first = data.time[0], last = data.time[data.time.length - 1];
    const row = nearest(first + share * (last - first));
    plots.forEach((plot, number_) => {
      cursors[number_].style.left = 100 * share + "%";
      cursors[number_].style.display = "block";
      const names = (shown[plot.dataset.key] || [plot.dataset.key]).filter((name) => data[name]);
      const when = new Date(1000 * data.time[row]).toISOString().slice(0, 16).replace("T", " ");
      const values = names.map((name) => `${words[name] || name} ${number(data[name][row], name)}`);
      plot.parentElement.querySelector("output").textContent = [when, ...values].join(" · ");
    });
  };
  const leave = () => plots.forEach((plot, number_) => {
    cursors[number_].style.display = "none";
    plot.parentElement.querySelector("output").textContent = "";
  });
  if (data.time && data.time.length) plots.forEach((plot) => {
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerleave", leave);
  });

  document.querySelectorAll("table[data-sortable]").forEach((table) => {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((head, column) => head.addEventListener("click", () => {
      const down = head.dataset.sorted !== "down";
      [...table.tHead.rows[0].cells].forEach((cell) => { delete cell.dataset.sorted; });
      head.dataset.sorted = down ? "down" : "up";
      const key = (row) => row.cells[column].dataset.v;
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b), both = x - y;
        return Number.isNaN(both) ? x.localeCompare(y) : both;
      });
      body.append(...(down ? rows.reverse() : rows));
    }));
  });
})();
