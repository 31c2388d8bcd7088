// A crosshair and the values under it, for every chart.
for (const figure of document.querySelectorAll("figure[data-chart]")) {
  const chart = JSON.parse(figure.dataset.chart);
  const svg = figure.querySelector("svg");
  const cross = figure.querySelector(".cross");
  const tip = figure.querySelector(".tip");
  const hide = () => { cross.style.visibility = tip.style.visibility = "hidden"; };
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("pointermove", event => {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * chart.width;
    const last = chart.labels.length - 1;
    const index = Math.round((x - chart.left) / (chart.right - chart.left) * last);
    if (index < 0 || index > last) {
      hide();
      return;
    }
    const at = chart.left + (last ? index / last : 0) * (chart.right - chart.left);
    cross.setAttribute("x1", at);
    cross.setAttribute("x2", at);
    tip.replaceChildren();
    const title = document.createElement("div");
    title.textContent = chart.labels[index];
    tip.append(title);
    for (const series of chart.series) {
      const line = document.createElement("div");
      const mark = document.createElement("b");
      mark.textContent = series.values[index];
      line.append(series.name + " ", mark);
      tip.append(line);
    }
    const pixel = at / chart.width * box.width;
    const left = pixel + 12 + tip.offsetWidth > box.width ? pixel - 12 - tip.offsetWidth : pixel + 12;
    tip.style.left = Math.max(0, left) + "px";
    tip.style.top = figure.querySelector("figcaption").offsetHeight + 16 + "px";
    cross.style.visibility = tip.style.visibility = "visible";
  });
}
