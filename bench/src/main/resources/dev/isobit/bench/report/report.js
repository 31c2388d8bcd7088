// Charts of the rows in the page, sortable tables, files to save.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const palette = Array.from({length: 10}, (_, i) => `--series-${i + 1}`);
  const color = name => `var(${palette[data.runners.indexOf(name) % palette.length]})`;
  const digits = value => Number(value).toPrecision(3);
  const ink = "var(--muted)";
  const compact = () => document.documentElement.clientWidth < 600;

  const element = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  function legend(names, ticks) {
    const box = element("div", {className: "legend"});
    for (const name of names) {
      const mark = element("i");
      mark.style.background = color(name);
      box.append(element("span", {}, mark, name));
    }
    for (const [name, shade] of ticks || []) {
      const mark = element("i", {className: "tick"});
      mark.style.background = shade;
      box.append(element("span", {}, mark, name));
    }
    return box;
  }

  // Backends are full dots in front, what stands beside them is a ring.
  const dots = (points, options) => present(points).reverse().map(name => Plot.dot(points.filter(point => point.runner === name),
    {...options, r: 4.5, strokeWidth: 2, stroke: color(name), fill: data.ours.includes(name) ? color(name) : "var(--card)"}));
  const present = points => data.runners.filter(name => points.some(point => point.runner === name));
  const said = point => `${point.runner}, ${point.label}\n${digits(point.us)} µs (${digits(point.low)} to ${digits(point.high)})\n`
    + `${digits(point.gbs)} GB/s, ${digits(point.ges)} G elements/s`;
  const tip = (points, x, y, title) => Plot.tip(points, Plot.pointer({x, y, title, fontSize: 12, fill: "var(--card)", stroke: "var(--rule)"}));
  const base = (box, options) => Plot.plot({width: Math.max(260, box.clientWidth), style: {background: "none", color: "var(--muted)"}, ...options});
  const heading = text => element("h3", {textContent: text});

  const charts = {
    // Bytes a second of each case, beside what memory gave in the same rounds.
    roofline(box) {
      const marks = [["copy", "var(--ink)"], ["in-place stream", "var(--muted)"], ["same-mix stream", "var(--muted)"]];
      for (const [operation, device] of data.operations.flatMap(operation => [[operation, true], [operation, false]])) {
        const all = data.rows.filter(row => row.operation === operation && row.device === device);
        const points = all.filter(row => data.runners.includes(row.runner));
        if (points.length === 0) continue;
        const roofs = all.filter(row => !data.runners.includes(row.runner));
        const labels = [...new Set(points.map(row => row.label))];
        const left = compact() ? 104 : 190;
        const short = label => compact() ? label.replace(" threads", "t").replace(" thread", "t") : label;
        box.append(heading(operation + (device ? ", on the device" : "")), base(box, {
          height: 46 + 24 * labels.length, marginLeft: left, marginRight: 16, marginTop: 10, marginBottom: 36,
          x: {label: "GB/s →", zero: true, nice: true, ticks: compact() ? 4 : 8, grid: true}, y: {label: null, domain: labels, tickFormat: short, tickSize: 0},
          marks: [
            ...marks.map(([name, shade]) => Plot.tickX(roofs.filter(row => row.runner === name), {x: "gbs", y: "label", stroke: shade, strokeWidth: 3, insetTop: 2, insetBottom: 2})),
            ...present(points).map(name => Plot.ruleY(points.filter(row => row.runner === name), {x1: row => row.bytes / row.high / 1e3, x2: row => row.bytes / row.low / 1e3, y: "label", stroke: color(name), strokeWidth: 2})),
            ...dots(points, {x: "gbs", y: "label"}),
            tip([...points, ...roofs], "gbs", "label", said),
          ],
        }));
      }
      box.prepend(legend(present(data.rows), marks.filter(([name]) => data.rows.some(row => row.runner === name))));
    },

    // Logits a second by number of classes.
    classes(box) {
      const points = data.rows.filter(row => row.sweep === "classes" && data.runners.includes(row.runner)).sort((a, b) => a.size - b.size);
      box.append(legend(present(points)), lines(box, points, "classes →", "ges", "↑ G logits/s"));
    },

    // Bytes a second by number of parameters.
    parameters(box) {
      for (const operation of ["adamw", "sgd"]) {
        const points = data.rows.filter(row => row.sweep === "parameters" && row.operation === operation).sort((a, b) => a.size - b.size);
        if (new Set(points.map(row => row.size)).size < 3) continue;
        const named = points.filter(row => data.runners.includes(row.runner));
        box.append(heading(operation), legend(present(named)), lines(box, named, "parameters →", "gbs", "↑ GB/s"));
      }
    },

    // Time of the host by time of the device, without and with what has to be carried there and back.
    crossover(box) {
      const shades = {"device alone": "var(--series-3)", "with transfer": "var(--series-5)"};
      const points = data.crossover.sort((a, b) => a.elements - b.elements);
      for (const operation of new Set(points.map(point => point.operation))) {
        const own = points.filter(point => point.operation === operation);
        box.append(heading(operation), base(box, {
          height: 260, marginLeft: 56, x: {type: "log", label: "elements →", grid: true, ticks: compact() ? 4 : 8}, y: {type: "log", label: "↑ times as fast as the host", grid: true},
          marks: [
            Plot.ruleY([1], {stroke: ink, strokeDasharray: "4 3"}),
            ...Object.entries(shades).map(([way, shade]) => Plot.line(own.filter(point => point.way === way), {x: "elements", y: "times", stroke: shade, strokeWidth: 2})),
            ...Object.entries(shades).map(([way, shade]) => Plot.dot(own.filter(point => point.way === way), {x: "elements", y: "times", fill: shade, r: 4})),
            tip(own, "elements", "times", point => `${point.label}, ${point.way}\n${digits(point.times)} times`),
          ],
        }));
      }
      box.prepend(element("div", {className: "legend"}, ...Object.entries(shades).map(([way, shade]) => {
        const mark = element("i");
        mark.style.background = shade;
        return element("span", {}, mark, way);
      })));
    },

    // How many times the speed of each peer, round by round.
    peers(box) {
      const points = data.peers;
      const left = compact() ? 150 : 250;
      const labels = [...new Set(points.map(point => point.label))];
      box.append(legend(present(points)), base(box, {
        height: 46 + 22 * labels.length, marginLeft: left, marginRight: 16, marginTop: 10, marginBottom: 36,
        x: {type: "log", label: "times as fast as the peer →", grid: true, ticks: 5, tickFormat: "~g"}, y: {label: null, domain: labels, tickSize: 0,
          tickFormat: label => compact() ? label.replace("cross-entropy", "CE").replace(" threads", "t").replace(" thread", "t") : label},
        marks: [
          Plot.ruleX([1], {stroke: ink, strokeDasharray: "4 3"}),
          ...present(points).map(name => Plot.ruleY(points.filter(point => point.runner === name), {x1: "low", x2: "high", y: "label", stroke: color(name), strokeWidth: 2})),
          ...dots(points, {x: "times", y: "label"}),
          tip(points, "times", "label", point => `${point.runner}, ${point.label}\n${digits(point.times)} times (${digits(point.low)} to ${digits(point.high)})`),
        ],
      }));
    },

    // Largest errors; on the right end what is no number.
    accuracy(box) {
      const finite = data.accuracy.map(point => Number(point.maxUlp)).filter(Number.isFinite);
      const most = 10 ** Math.ceil(Math.log10(Math.max(10, ...finite)));
      const points = data.accuracy.map(point => ({...point, at: Math.max(0.1, Math.min(Number(point.maxUlp), most))}));
      const labels = [...new Set(points.map(point => point.label))];
      box.append(legend(present(points)), base(box, {
        height: 46 + 24 * labels.length, marginLeft: compact() ? 186 : 260, marginRight: 16, marginTop: 10, marginBottom: 36,
        x: {type: "log", domain: [0.1, most], label: "largest error, ULP →", grid: true, ticks: compact() ? 3 : 6, tickFormat: value => value < 1000 ? String(value) : value.toExponential(0).replace("e+", "e")},
        y: {label: null, domain: labels, tickSize: 0, tickFormat: label => compact() ? label.replace("cross-entropy", "CE").replace("momentumBuffer", "momentum").replace(", ", " ") : label},
        marks: [
          ...dots(points, {x: "at", y: "label"}),
          tip(points, "at", "label", point => `${point.runner}, ${point.label}\nlargest ${point.maxUlp} ULP\nroot mean square ${point.rmsUlp} ULP`),
        ],
      }));
    },
  };

  function lines(box, points, xLabel, y, yLabel) {
    const values = points.map(point => point[y]);
    const scale = Math.max(...values) > 30 * Math.min(...values) ? {type: "log"} : {zero: true};
    return base(box, {
      height: compact() ? 240 : 320, marginLeft: 48, marginBottom: 40, x: {type: "log", label: xLabel, grid: true, ticks: compact() ? 4 : 8, tickFormat: "~s"}, y: {label: yLabel, grid: true, nice: true, ...scale, tickFormat: "~g"},
      marks: [
        ...present(points).map(name => Plot.line(points.filter(row => row.runner === name), {x: "size", y, z: "place", stroke: color(name), strokeWidth: 2})),
        ...dots(points, {x: "size", y}),
        tip(points, "size", y, said),
      ],
    });
  }

  function draw() {
    for (const box of document.querySelectorAll(".chart")) {
      box.replaceChildren();
      charts[box.dataset.chart](box);
      for (const svg of box.querySelectorAll("svg")) {
        svg.setAttribute("role", "img");
        svg.setAttribute("aria-label", `${box.dataset.chart}; the figures are in the tables`);
      }
    }
  }
  draw();
  let width = document.documentElement.clientWidth;
  addEventListener("resize", () => {
    if (document.documentElement.clientWidth !== width) {
      width = document.documentElement.clientWidth;
      draw();
    }
  });

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", {type: "button", textContent: head.textContent});
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
        const compare = (a, b) => {
          const [x, y] = [key(a), key(b)];
          const [m, n] = [Number(x), Number(y)];
          if (x === "" || y === "") return (x === "") - (y === "");
          return (up ? 1 : -1) * (Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m - n);
        };
        table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
      });
    });
  }

  for (const button of document.querySelectorAll("button.raw")) {
    button.addEventListener("click", () => {
      const text = document.getElementById(button.dataset.run).textContent;
      const link = element("a", {href: URL.createObjectURL(new Blob([text], {type: "application/json"})), download: button.dataset.run + ".json"});
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }
})();
